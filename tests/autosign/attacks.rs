//! Every attack that a check stops.

use enlist::autosign::{Found, Judge, Policy};
use enlist::fault::Kind;
use enlist::secret::Secret;

use crate::csr::{CHALLENGE, Key, Proof, Request, binding, pem, proof_oid, puppet_oid, tlv, utf8};
use crate::{ACCOUNT, DATE, ID, NOW, RULE, caller, good, judge, refused, sts};

fn proof() -> Proof {
    Proof::new(&Key::one().spki, ID, DATE)
}

fn verdict(request: &Request) -> (Kind, String) {
    refused(&judge(RULE, &request.name, &request.pem(Key::one()), NOW, &caller()))
}

#[track_caller]
fn is_refused(request: &Request, kind: Kind, why: &str) {
    let (found, said) = verdict(request);
    assert!(found == kind && said.contains(why), "{found:?}: {said}");
}

#[test]
fn the_right_node_is_signed() {
    let decision = judge(RULE, ID, &good().pem(Key::one()), NOW, &caller());
    assert_eq!(decision.verdict, Ok(1), "{}", decision.explanation());
    assert_eq!(decision.proven.instance_id.as_deref(), Some(ID));
    assert_eq!(
        decision.sentence(),
        format!("{ID}: signed by rule 1 (iam), {ID} of account {ACCOUNT}")
    );
}

#[test]
fn a_copied_proof_is_worth_nothing_under_another_key_or_name() {
    let copied = good().pem(Key::other());
    let (kind, why) = refused(&judge(RULE, ID, &copied, NOW, &caller()));
    assert!(kind == Kind::Rejected && why.contains("another key or name"), "{why}");
    let renamed = Request { name: "i-0fedcba9876543210".to_owned(), ..good() };
    is_refused(&renamed, Kind::Rejected, "another key or name");
    // The binding of another node, signed by this one's credentials.
    let theirs = Proof { binding: Some(binding(&Key::other().spki, ID)), ..proof() };
    is_refused(&Request::new(ID).iam(&theirs.json()), Kind::Rejected, "another key or name");
}

#[test]
fn somebody_elses_key_can_not_be_shown() {
    // The request has the victim's key and proof, and is signed with the attacker's key.
    let der = good().der_of(&Key::one().spki, Key::other());
    let (kind, why) = refused(&judge(RULE, ID, &pem(&der), NOW, &caller()));
    assert!(kind == Kind::Data && why.contains("not signed with its own key"), "{why}");
}

#[test]
fn a_proof_for_another_host_than_sts_is_refused_before_anything_is_sent() {
    for region in [
        "evil.example",
        "evil.example/",
        "eu-central-1.evil.example",
        "eu-central-1@evil.example",
        "xx-attacker-1",
        "EU-CENTRAL-1",
        "",
        "us-iso-east-1",
    ] {
        let other = Proof { region: region.to_owned(), ..proof() };
        let request = Request::new(ID).iam(&other.json());
        is_refused(&request, Kind::Data, "no region of AWS");
    }
    // One that no rule allows is not asked about.
    for (regions, region) in [("[\"eu-*\"]", "us-east-1"), ("[\"us-*\"]", "us-gov-west-1")] {
        let policy = Policy::parse(&format!("{RULE}regions = {regions}\n")).unwrap();
        let other = Proof { region: region.to_owned(), ..proof() };
        let request = Request::new(ID).iam(&other.json()).pem(Key::one());
        let judge = Judge::begin(&policy, ID, request.as_bytes(), NOW);
        assert_eq!(judge.needs_sts(&Found::default()), None, "{region}");
    }
    // Signed for another host, and sent to STS all the same.
    let other = Proof { host: "evil.example".to_owned(), ..proof() };
    is_refused(&Request::new(ID).iam(&other.json()), Kind::Rejected, "STS does not accept");
}

#[test]
fn the_binding_must_be_signed_and_nothing_else() {
    let unbound = Proof { binding: None, ..proof() };
    is_refused(&Request::new(ID).iam(&unbound.json()), Kind::Rejected, "signs the headers");
    for (from, to) in [
        ("accept;", ""),
        ("accept;", "accept;accept;"),
        ("host;", "host;user-agent;"),
        (";x-enlist-binding", ";X-Enlist-Binding"),
        (";x-enlist-binding", ";x-enlist-binding;"),
    ] {
        let authorization = proof().authorization().replacen(from, to, 1);
        let request = Request::new(ID).iam(&proof().json_with(&authorization));
        is_refused(&request, Kind::Rejected, "signs the headers");
    }
}

#[test]
fn the_authorization_is_one_signature_for_sts_of_this_day_and_region() {
    let good = proof().authorization();
    for (from, to) in
        [("/sts/", "/ec2/"), ("/20260714/", "/20260713/"), ("/eu-central-1/", "/eu-west-1/")]
    {
        let request = Request::new(ID).iam(&proof().json_with(&good.replacen(from, to, 1)));
        is_refused(&request, Kind::Rejected, "another service, region or day");
    }
    for (from, to) in [
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ("Signature=", "Signature=\r\nx-evil: 1"),
        ("aws4_request", "aws4_request/more"),
        ("aws4_request", "aws3_request"),
        ("ASIA", "asia\n"),
        (", Signature=", ","),
    ] {
        let request = Request::new(ID).iam(&proof().json_with(&good.replacen(from, to, 1)));
        is_refused(&request, Kind::Data, "not a Signature Version 4");
    }
    let token = Proof { token: Some("a\r\nx-evil: 1".to_owned()), ..proof() };
    is_refused(&Request::new(ID).iam(&token.json()), Kind::Data, "session token");
    let none = Proof { token: None, ..proof() };
    is_refused(&Request::new(ID).iam(&none.json()), Kind::Rejected, "STS does not accept");
}

#[test]
fn an_old_or_a_future_proof_is_refused_and_the_difference_is_said() {
    for (date, why) in [
        ("20260714T114400Z", "16 min 0 s ago"),
        ("20260714T110000Z", "1 h 0 min ago"),
        ("20260714T130000Z", "1 h 0 min in the future"),
    ] {
        let old = Proof::new(&Key::one().spki, ID, date);
        is_refused(&Request::new(ID).iam(&old.json()), Kind::Rejected, why);
    }
    for date in ["20260714T114600Z", "20260714T121400Z"] {
        let request = Request::new(ID).iam(&Proof::new(&Key::one().spki, ID, date).json());
        let decision = judge(RULE, ID, &request.pem(Key::one()), NOW, &caller());
        assert_eq!(decision.verdict, Ok(1), "{date}");
    }
    // A newer date than the one that was signed.
    let moved = Proof { date: "20260714T120001Z".to_owned(), ..proof() };
    let request = Request::new(ID).iam(&moved.json_with(&proof().authorization()));
    is_refused(&request, Kind::Rejected, "STS does not accept");
}

#[test]
fn other_accounts_roles_sessions_and_partitions_are_refused() {
    for (answer, why) in [
        (sts::instance("210987654321", "web-7", ID), "the account is 210987654321"),
        (sts::instance(ACCOUNT, "db-1", ID), "the role is \"db-1\", not \"web-*\""),
        (sts::instance(ACCOUNT, "a-web-7", ID), "the role is \"a-web-7\""),
        (sts::instance(ACCOUNT, "web-7", "i-0fedcba9876543210"), "the name is"),
        // Somebody who may assume the role, under a session name that is no instance's.
        (sts::instance(ACCOUNT, "web-7", "alice"), "session \"alice\""),
        (
            sts::identity(ACCOUNT, "arn:aws:iam::123456789012:user/web-7", "AIDAEXAMPLE"),
            "no assumed role",
        ),
        (caller().replace("arn:aws:", "arn:aws-cn:"), "another partition"),
    ] {
        let (_, said) = refused(&judge(RULE, ID, &good().pem(Key::one()), NOW, &answer));
        assert!(said.contains(why), "{said}");
    }
    // Another partition is not allowed unless it is named.
    let china = Proof {
        region: "cn-north-1".to_owned(),
        host: "sts.cn-north-1.amazonaws.com.cn".to_owned(),
        ..proof()
    };
    let request = Request::new(ID).iam(&china.json()).pem(Key::one());
    let answer = caller().replace("arn:aws:", "arn:aws-cn:");
    let (_, said) = refused(&judge(RULE, ID, &request, NOW, &answer));
    assert!(said.contains("the region cn-north-1, which no rule allows"), "{said}");
    let named = format!("{RULE}regions = [\"cn-*\"]\n");
    assert_eq!(judge(&named, ID, &request, NOW, &answer).verdict, Ok(1));
}

#[test]
fn a_star_does_not_cross_partitions() {
    let gov = Proof {
        region: "us-gov-west-1".to_owned(),
        host: "sts.us-gov-west-1.amazonaws.com".to_owned(),
        ..proof()
    };
    let request = Request::new(ID).iam(&gov.json()).pem(Key::one());
    let answer = caller().replace("arn:aws:", "arn:aws-us-gov:");
    for (regions, is_signed) in
        [("us-*", false), ("*", false), ("us-gov-*", true), ("us-gov-west-1", true)]
    {
        let named = format!("{RULE}regions = [\"{regions}\"]\n");
        let decision = judge(&named, ID, &request, NOW, &answer);
        assert_eq!(decision.verdict.is_ok(), is_signed, "{regions}: {decision:?}");
    }
}

#[test]
fn an_extension_must_be_named_or_proven() {
    let role = puppet_oid(1, 13);
    let is = |settings: &str, request: Request| {
        judge(settings, ID, &request.pem(Key::one()), NOW, &caller())
    };
    let of = |list: &str| format!("{RULE}extensions = {list}\n");
    let web = || good().extension(role.clone(), "web");
    let (_, why) = refused(&is(RULE, web()));
    assert!(why.contains("pp_role = \"web\" is not allowed"), "{why}");
    for list in ["[\"pp_role\"]", "{ pp_role = \"web\" }", "[{ pp_role = \"w*\" }, \"pp_zone\"]"] {
        assert_eq!(is(&of(list), web()).verdict, Ok(1), "{list}");
    }
    let (_, why) = refused(&is(&of("{ pp_role = \"db\" }"), web()));
    assert!(why.contains("pp_role = \"web\" is not \"db\""), "{why}");
    // The server decodes UTF8String only, and signs the bytes of any other type as the text.
    for value in
        [tlv(4, b"web"), tlv(0x13, b"web"), tlv(0x16, b"web"), [utf8("web"), utf8("db")].concat()]
    {
        for list in ["{ pp_role = \"web\" }", "{ pp_role = \"*\" }", "[\"pp_role\"]"] {
            let mut other = good();
            other.extensions.push((role.clone(), value.clone()));
            let (_, why) = refused(&is(&of(list), other));
            assert!(why.contains("pp_role is not one UTF8String"), "{why}");
        }
    }
    for value in ["web\0db", "web\r\nx", "web\u{85}"] {
        let (_, why) =
            refused(&is(&of("{ pp_role = \"web*\" }"), good().extension(role.clone(), value)));
        assert!(why.contains("control characters"), "{why}");
    }
    // What the proof tells needs no name, and must be true, also if it is named.
    let id = puppet_oid(1, 2);
    for rule in [RULE.to_owned(), of("[\"pp_instance_id\"]"), of("{ pp_instance_id = \"i-*\" }")] {
        assert_eq!(is(&rule, good().extension(id.clone(), ID)).verdict, Ok(1));
        let (_, why) = refused(&is(&rule, good().extension(id.clone(), "i-0fedcba9876543210")));
        assert!(why.contains("as proven"), "{why}");
    }
    // Which word stands for the platform is the site's choice.
    let platform = || good().extension(puppet_oid(1, 23), "ec2");
    refused(&is(RULE, platform()));
    assert_eq!(is(&of("{ pp_cloudplatform = \"ec2\" }"), platform()).verdict, Ok(1));
    // The authorization arc only by its own name; alternative names never.
    let auth = puppet_oid(3, 13);
    let (_, why) = refused(&is(&of("[\"pp_role\"]"), good().extension(auth.clone(), "admin")));
    assert!(why.contains("pp_auth_role"), "{why}");
    assert_eq!(is(&of("[\"pp_auth_role\"]"), good().extension(auth, "admin")).verdict, Ok(1));
    let mut names = good();
    names.extensions.push((vec![0x55, 0x1d, 0x11], tlv(0x30, &tlv(0x82, b"puppet"))));
    let (_, why) = refused(&is(RULE, names));
    assert!(why.contains("alternative names, which only a person may sign"), "{why}");
}

/// The server encodes a request anew to verify it, and refuses one that has another order.
#[test]
fn attributes_are_in_the_order_of_der() {
    let request = good().attribute(CHALLENGE.to_vec(), "a");
    assert_eq!(judge(RULE, ID, &request.pem(Key::one()), NOW, &caller()).verdict, Ok(1));
    is_refused(&Request { is_sorted: false, ..request }, Kind::Data, "in the order of DER");
}

/// STS may be down.
#[test]
fn sts_is_not_asked_if_an_earlier_rule_signs() {
    let password = "[[allow]]\nproof = \"challenge-password\"\npassword = { file = \"/psk\" }\n";
    let pem = good().attribute(CHALLENGE.to_vec(), "p").pem(Key::one());
    let known = || Ok(Secret::new("p".to_owned()));
    let found = Found { passwords: [("/psk".to_owned(), known())].into(), ..Found::default() };
    for (rules, is_asked) in
        [(format!("{password}{RULE}"), false), (format!("{RULE}{password}"), true)]
    {
        let policy = Policy::parse(&rules).unwrap();
        let judge = Judge::begin(&policy, ID, pem.as_bytes(), NOW);
        assert_eq!(judge.needs_sts(&found).is_some(), is_asked);
        let decision = judge.decide(&found);
        assert_eq!(decision.verdict, Ok(if is_asked { 2 } else { 1 }), "{decision:?}");
    }
}

#[test]
fn nothing_may_be_there_twice() {
    let twice = good().iam(&proof().json());
    is_refused(&twice, Kind::Data, "is there twice");
    let password = good().attribute(CHALLENGE.to_vec(), "a").attribute(CHALLENGE.to_vec(), "b");
    is_refused(&password, Kind::Data, "is there twice");
    let mut values = Request::new(ID);
    values.attributes.push((proof_oid(1), vec![utf8(&proof().json()), utf8("x")]));
    is_refused(&values, Kind::Data, "has not one value");
    let mut none = Request::new(ID);
    none.attributes.push((proof_oid(1), Vec::new()));
    is_refused(&none, Kind::Data, "has not one value");
    let role = || puppet_oid(1, 13);
    let extensions = good().extension(role(), "web").extension(role(), "db");
    is_refused(&extensions, Kind::Data, "the extension pp_role is there twice");
    // Microsoft's attribute for extensions: a second list.
    let microsofts = vec![0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 14];
    let mut second = good();
    second.attributes.push((microsofts, vec![tlv(0x30, &[])]));
    is_refused(&second, Kind::Data, "a second list of extensions");
    let json = proof().json().replacen('{', "{\"region\":\"eu-west-1\",", 1);
    is_refused(&Request::new(ID).iam(&json), Kind::Data, "not the JSON of one");
}

#[test]
fn a_request_without_a_proof_is_refused_with_the_setting_to_make() {
    is_refused(&Request::new(ID), Kind::Rejected, "set proof in [puppet-server] on the node");
    let other = Request::new(ID).attribute(CHALLENGE.to_vec(), "secret");
    is_refused(&other, Kind::Rejected, "no proof of the kind iam");
    // A proof that is no text.
    let mut bytes = Request::new(ID);
    bytes.attributes.push((proof_oid(1), vec![tlv(4, proof().json().as_bytes())]));
    is_refused(&bytes, Kind::Data, "is not a UTF8String");
    let password =
        "[[allow]]\nproof = \"challenge-password\"\npassword = { file = \"/psk\" }\n".to_owned();
    let without = Request::new(ID).pem(Key::one());
    for (rules, said) in [
        (password.clone(), "set challenge_password in [puppet-server]"),
        (format!("{RULE}{password}"), "set proof or challenge_password in [puppet-server]"),
    ] {
        let (_, why) = refused(&judge(&rules, ID, &without, NOW, &caller()));
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn the_first_rule_that_fits_signs_and_else_the_closest_is_named() {
    let rules = format!(
        "{RULE}name = \"x\"\n{}\n[[allow]]\nproof = \"iam\"\naccount = \"123456789012\"\nrole = \"*\"\nname = \"*\"\n",
        RULE.replace("web-*", "db")
    );
    let decision = judge(&rules, ID, &good().pem(Key::one()), NOW, &caller());
    assert_eq!(decision.verdict, Ok(3), "{}", decision.explanation());
    let closest =
        format!("{}\n{RULE}name = \"x\"\n", RULE.replace("web-*", "db").replace("123", "321"));
    let (_, why) = refused(&judge(&closest, ID, &good().pem(Key::one()), NOW, &caller()));
    assert!(why.starts_with("rule 2 (iam): the name is"), "{why}");
}

/// `pp_auth_auto_renew`, which a node that renews asks with, is an attribute and no extension. It gives a
/// shorter lifetime. As an extension, the same OID is below the authorization arc.
#[test]
fn an_attribute_that_is_no_proof_changes_nothing() {
    let auto_renew = puppet_oid(3, 2);
    let mut asked = good();
    asked.attributes.push((auto_renew.clone(), vec![tlv(0x13, b"true")]));
    let decision = judge(RULE, ID, &asked.pem(Key::one()), NOW, &caller());
    assert_eq!(decision.verdict, Ok(1), "{}", decision.explanation());
    is_refused(&good().extension(auto_renew, "true"), Kind::Rejected, "pp_auth_auto_renew");
}
