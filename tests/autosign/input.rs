//! Input that is no request, and settings that are none.

use enlist::autosign::{LARGEST, Policy};
use enlist::fault::Kind;

use crate::csr::{EXTENSION_REQUEST, Key, Proof, Request, pem, proof_oid, puppet_oid, tlv, utf8};
use crate::{DATE, ID, NOW, RULE, caller, good, judge, refused};

fn said(text: &str) -> String {
    let (kind, why) = refused(&judge(RULE, ID, text, NOW, &caller()));
    assert_eq!(kind, Kind::Data, "{why}");
    why
}

#[test]
fn what_is_no_request_is_named() {
    let whole = good().pem(Key::one());
    for (text, why) in [
        (String::new(), "standard input is empty"),
        ("nonsense".to_owned(), "not PEM"),
        (
            whole.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
            "\"CERTIFICATE\", not a certificate request",
        ),
        (format!("{whole}{whole}"), "something after the block"),
        (pem(b"0\0"), "not a PKCS#10"),
        (pem(&tlv(0x30, b"")), "not a PKCS#10"),
        (format!("{whole}{}", " ".repeat(LARGEST)), "larger than 65536 bytes"),
    ] {
        let found = said(&text);
        assert!(found.contains(why), "{found}");
    }
    let der = good().der(Key::one());
    let policy = Policy::parse(RULE).unwrap();
    let decision = enlist::autosign::Judge::begin(&policy, ID, &der, NOW)
        .decide(&enlist::autosign::Found::default());
    assert!(refused(&decision).1.contains("DER, not PEM"));
    // Something after the request.
    assert!(said(&pem(&[der.as_slice(), &[0]].concat())).contains("not a PKCS#10"));
}

#[test]
fn the_name_is_the_one_that_the_server_says() {
    let pem = good().pem(Key::one());
    let (kind, why) = refused(&judge(RULE, "other", &pem, NOW, &caller()));
    assert_eq!(kind, Kind::Data);
    assert!(why.contains(&format!("is for the name \"{ID}\", not for \"other\"")), "{why}");
}

#[test]
fn weak_keys_are_refused() {
    let key = crate::common::openssl(&["genrsa", "1024"]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, key).unwrap();
    let path = path.to_str().unwrap();
    let subject = format!("/CN={ID}");
    let request = crate::common::openssl(&["req", "-new", "-key", path, "-subj", &subject]);
    assert!(said(&request).contains("use RSA of 2048 to 8192 bits"));
    for options in [
        &["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"][..],
        &["-newkey", "ed25519"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-sha512"],
    ] {
        let request =
            [&["req", "-new", "-nodes", "-keyout", "/dev/null", "-subj", &subject], options];
        let request = crate::common::openssl(&request.concat());
        assert!(said(&request).contains("use RSA of 2048 to 8192 bits"), "{options:?}");
    }
}

#[test]
fn requests_of_openssl_with_other_keys_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let path = path.to_str().unwrap();
    let subject = format!("/CN={ID}");
    for (kind, hash) in [
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..], "-sha256"),
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "-sha384"),
        (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "-sha512"),
    ] {
        crate::common::openssl(&[&["genpkey", "-out", path], kind].concat());
        let request =
            crate::common::openssl(&["req", "-new", "-key", path, "-subj", &subject, hash]);
        let (kind, why) = refused(&judge(RULE, ID, &request, NOW, &caller()));
        assert_eq!(kind, Kind::Rejected, "{why}");
        assert!(why.contains("no proof"), "{why}");
    }
}

#[test]
fn settings_that_say_nothing_or_too_much_are_named() {
    for (text, why) in [
        ("", "no [[allow]]"),
        ("x", "line 1"),
        ("[[allow]]\nproof = \"iam\"\nacount = \"1\"\n", "line 3: unknown field `acount`"),
        ("[[allow]]\nproof = \"psk\"\n", "proof of rule 1"),
        ("[[allow]]\nproof = \"iam\"\naccount = 123456789012\nrole = \"x\"\n", "account of rule 1"),
        ("[[allow]]\nproof = \"iam\"\naccount = \"12345678901\"\nrole = \"x\"\n", "twelve digits"),
        ("[[allow]]\nproof = \"iam\"\naccount = \"123456789012\"\n", "role of rule 1"),
        (
            "[[allow]]\nproof = \"iam\"\naccount = [\"123456789012\", 1]\nrole = \"x\"\n",
            "account of rule 1",
        ),
        (
            "[[allow]]\nproof = \"challenge-password\"\npassword = \"hunter2\"\n",
            "password of rule 1",
        ),
        (
            "[[allow]]\nproof = \"challenge-password\"\npassword = { file = \"psk\" }\n",
            "the file that has",
        ),
        (
            "[[allow]]\nproof = \"instance-identity\"\naccount = \"123456789012\"\nmax_age = \"soon\"\n",
            "max_age of rule 1",
        ),
        (
            "[[allow]]\nproof = \"instance-identity\"\naccount = \"123456789012\"\nrole = \"x\"\n",
            "role of rule 1",
        ),
    ] {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn settings_that_allow_nothing_are_named() {
    for (line, why) in [
        ("name = \"{role}\"\nregions = 7\n", "regions of rule 1"),
        ("name = \"{region}\"\n", "{region} is not one of"),
        ("name = \"\"\n", "it is empty"),
        ("extensions = [\"pp_rolle\"]\n", "names such as pp_role"),
        ("extensions = [\"2.5.29.17\"]\n", "names such as pp_role"),
        ("extensions = [\"pp_cli_auth\"]\n", "administer the CA"),
        ("extensions = [\"pp_role\", { pp_role = \"x\" }]\n", "has pp_role twice"),
        ("extensions = { pp_role = 7 }\n", "a list of names"),
        ("max_age = \"1m\"\n", "max_age of rule 1"),
        ("[sts]\ntimeout = \"2m\"\n", "timeout in [sts]"),
        ("[sts]\nendpoint = \"http://sts.example\"\n", "endpoint in [sts]"),
        ("[sts]\nproxy = \"socks5://x\"\n", "proxy in [sts]"),
        ("[sts]\nproxy = \"http://\"\n", "proxy in [sts]"),
        ("[sts]\nproxy = \"http://u:hunter2@:8080\"\n", "proxy in [sts]"),
        ("[sts]\nproxy = \"http://proxy:99999\"\n", "proxy in [sts]"),
        ("[sts]\nendpoint = \"https://sts.example:99999\"\n", "endpoint in [sts]"),
        ("[sts]\nendpoint = \"https://sts.example:\"\n", "endpoint in [sts]"),
        ("regions = [\"eu-centrl-1\"]\n", "regions of AWS such as"),
        ("regions = []\n", "regions of AWS such as"),
        ("regions = \"eu-central-1a\"\n", "regions of AWS such as"),
        ("regions = \"eu-centrl-*\"\n", "regions of AWS such as"),
        ("regions = \"us-gov*\"\n", "for GovCloud \"us-gov-*\""),
        ("[audit]\nfile = \"relative\"\n", "an absolute path"),
    ] {
        let error = Policy::parse(&format!("{RULE}{line}")).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
    }
    for role in ["path/web", "arn:aws:iam::123456789012:role/web", "web-?", "web-[a-z]", "web 1"] {
        let error = Policy::parse(&RULE.replace("web-*", role)).unwrap_err().to_string();
        assert!(error.contains("role of rule 1") && error.contains("without a path"), "{error}");
    }
    let whole = format!(
        "{RULE}name = \"{{instance_id}}.{{account}}.{{role}}\"\n[[allow]]\nproof = \"challenge-password\"\npassword = {{ file = \"/psk\" }}\n[sts]\ntimeout = \"3s\"\nproxy = \"http://proxy:3128\"\nendpoint = \"https://vpce-1.sts.eu-central-1.vpce.amazonaws.com\"\n[audit]\nfile = \"/a\"\n"
    );
    assert_eq!(Policy::parse(&whole).unwrap().rules.len(), 2);
}

/// The example of the packages, as it is, and with everything that it suggests.
#[test]
fn the_packaged_example_is_valid() {
    let text = include_str!("../../packaging/autosign.toml");
    assert_eq!(Policy::parse(text).unwrap().rules.len(), 1);
    let uncommented = |line: &str| {
        let rest = line.strip_prefix("# ").unwrap_or(line);
        let is_setting = rest.starts_with('[') || rest.split(' ').nth(1) == Some("=");
        if is_setting { format!("{rest}\n") } else { String::new() }
    };
    let whole: String = text.lines().map(uncommented).collect();
    let policy = Policy::parse(&whole).unwrap();
    assert_eq!(policy.rules.len(), 3);
    assert!(policy.audit.is_some() && policy.sts.proxy.is_some());
}

/// What serde and lenient readers take, and the format does not allow.
#[test]
fn the_format_is_held() {
    let json = Proof::new(&Key::one().spki, ID, DATE).json();
    let proof: serde_json::Value = serde_json::from_str(&json).unwrap();
    let names = ["region", "authorization", "x-amz-date", "x-amz-security-token"];
    let array: Vec<_> = names.iter().map(|name| proof[name].clone()).collect();
    let array = Request::new(ID).iam(&serde_json::to_string(&array).unwrap());
    let said_of = |request: &Request| said(&request.pem(Key::one()));
    assert!(said_of(&array).contains("not the JSON of one"), "{}", said_of(&array));
    for tag in [0x13, 0x16] {
        let mut request = Request::new(ID);
        request.attributes.push((proof_oid(1), vec![tlv(tag, json.as_bytes())]));
        assert!(said_of(&request).contains("is not a UTF8String"), "{}", said_of(&request));
    }
    for (critical, is_der) in [(0xff, true), (1, false), (0, false)] {
        let extension = [tlv(6, &puppet_oid(1, 2)), tlv(1, &[critical]), tlv(4, &utf8(ID))];
        let list = tlv(0x30, &tlv(0x30, &extension.concat()));
        let mut request = good();
        request.attributes.push((EXTENSION_REQUEST.to_vec(), vec![list]));
        let decision = judge(RULE, ID, &request.pem(Key::one()), NOW, &caller());
        assert_eq!(decision.verdict.is_ok(), is_der, "{critical}: {decision:?}");
    }
}

#[test]
fn a_region_that_aws_has_since_added_is_one() {
    let proof = Proof {
        region: "eu-south-9".to_owned(),
        host: "sts.eu-south-9.amazonaws.com".to_owned(),
        ..Proof::new(&Key::one().spki, ID, DATE)
    };
    let request = Request::new(ID).iam(&proof.json()).pem(Key::one());
    for regions in ["", "regions = [\"eu-*\"]\n", "regions = [\"eu-south-9\"]\n"] {
        let rule = format!("{RULE}{regions}");
        assert_eq!(judge(&rule, ID, &request, NOW, &caller()).verdict, Ok(1), "{regions}");
    }
    let (_, why) =
        refused(&judge(&format!("{RULE}regions = \"us-*\"\n"), ID, &request, NOW, &caller()));
    assert!(why.contains("eu-south-9, which no rule allows"), "{why}");
}

/// Puppet Server has another parser for the same bytes, and signs what that one finds.
#[test]
fn what_two_parsers_could_read_in_two_ways_is_refused() {
    let whole = good().pem(Key::one()).replace("\r\n", "\n");
    let (begin, rest) = whole.split_once("-----\n").unwrap();
    let begin = format!("{begin}-----\n");
    let one_line: String = rest.lines().filter(|line| !line.starts_with('-')).collect();
    // BouncyCastle ends a line at CR and takes what this hides; the policy would judge the rest.
    let hidden = format!("X:\r{one_line}\r------END CERTIFICATE REQUEST-----\rY:\n\n");
    for (text, why) in [
        (format!("{begin}{hidden}{rest}"), "a line of the block is not base64"),
        (format!("{begin}Proc-Type: 4\n\n{rest}"), "a line of the block is not base64"),
        (format!("{begin}\n{rest}"), "a line of the block is not base64"),
        (whole.replace('\n', "\r"), "its first line"),
        (format!("text\n{whole}"), "its first line"),
        (format!(" {whole}"), "its first line"),
        (format!("{whole}text\n"), "something after the block"),
        (whole.replace("-----END", "------END"), "a line of the block is not base64"),
        (whole.replace("BEGIN CERT", "BEGIN NEW CERT"), "a line of the block is not base64"),
        (whole.split("-----END").next().unwrap().to_owned(), "is not base64"),
        (format!("{begin}AAAA=AAA\n{rest}"), "the block is not base64"),
        (whole.replace("-----BEGIN", "\u{feff}-----BEGIN"), "not ASCII"),
    ] {
        let found = said(&text);
        assert!(found.contains(why), "{text:?}: {found}");
    }
    for text in
        [whole.replace('\n', "\r\n"), format!("{whole}\n"), whole.replace("CERT", "NEW CERT")]
    {
        let decision = judge(RULE, ID, &text, NOW, &caller());
        assert!(decision.verdict.is_ok(), "{decision:?}");
    }
}

#[test]
fn a_name_of_two_lines_is_refused() {
    let name = "a\n.example.com";
    let request = Request::new(name).pem(Key::one());
    let (kind, why) = refused(&judge(RULE, name, &request, NOW, &caller()));
    assert_eq!(kind, Kind::Data);
    assert!(why.contains("control characters"), "{why}");
}
