//! The program that ships: settings, standard input, STS over TLS, exit code, one line, audit.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::common::{self, Run};
use crate::csr::{Key, Proof, Request, SECRET_KEY, TOKEN};
use crate::sts::{MISMATCH, Sts, instance, whole};
use crate::{ACCOUNT, ID, RULE};

/// A Puppet server's machine: a directory with the settings.
pub struct Authority {
    pub directory: tempfile::TempDir,
}

impl Authority {
    pub fn new(settings: &str) -> Self {
        let authority = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(authority.path("autosign.toml"), settings).unwrap();
        authority
    }

    /// With an STS, and an audit file.
    pub fn with(
        sts: impl Fn(&crate::sts::Asked, usize) -> String + Send + Sync + 'static,
    ) -> (Self, Sts) {
        let authority = Self::new("");
        let sts = Sts::start(&authority.path("sts.pem"), sts);
        authority
            .settings(&format!("{RULE}[sts]\nendpoint = \"https://localhost:{}\"\n", sts.port));
        (authority, sts)
    }

    /// Settings that end in `[sts]`.
    pub fn settings(&self, text: &str) {
        let (ca, audit) = (self.path("sts.pem"), self.path("audit.jsonl"));
        let text = format!(
            "{text}ca_file = \"{}\"\n[audit]\nfile = \"{}\"\n",
            ca.display(),
            audit.display()
        );
        fs::write(self.path("autosign.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = common::bare(&["autosign"]);
        command.arg("--config").arg(self.path("autosign.toml")).args(arguments);
        command
    }

    pub fn judge(&self, csr: &[u8]) -> Run {
        judge(self.command(&[ID]), csr)
    }
}

pub fn judge(mut command: Command, csr: &[u8]) -> Run {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let csr = csr.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&csr));
    let output = child.wait_with_output().unwrap();
    // All of the request is taken.
    writing.join().unwrap().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A request with a proof of now, or of some seconds earlier.
pub fn request(seconds_ago: u64) -> String {
    let now = SystemTime::now() - Duration::from_secs(seconds_ago);
    let date = aws_smithy_types::DateTime::from(now);
    let text = date.fmt(aws_smithy_types::date_time::Format::DateTime).unwrap();
    let date = format!(
        "{}Z",
        text.split('.').next().unwrap().trim_end_matches('Z').replace(['-', ':'], "")
    );
    Request::new(ID).iam(&Proof::new(&Key::one().spki, ID, &date).json()).pem(Key::one())
}

pub fn as_aws(asked: &crate::sts::Asked) -> String {
    if asked.is_signed() {
        whole("200 OK", &instance(ACCOUNT, "web-7", ID))
    } else {
        whole("403 Forbidden", MISMATCH)
    }
}

#[track_caller]
pub fn expect(run: &Run, code: i32, why: &str) {
    assert_eq!(run.code, code, "{}", run.stderr);
    assert!(run.stderr.contains(why), "{}", run.stderr);
    assert!(run.stderr.starts_with("enlist-autosign: "), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    for secret in [TOKEN, SECRET_KEY, "Signature="] {
        assert!(!run.stderr.contains(secret) && !run.stdout.contains(secret), "{}", run.stderr);
    }
}

#[test]
fn the_right_node_is_signed_with_one_call_and_one_audit_line() {
    let (authority, sts) = Authority::with(|asked, _| as_aws(asked));
    expect(&authority.judge(request(0).as_bytes()), 0, "signed by rule 1 (iam)");
    assert_eq!(sts.asked(), 1);
    let asked = sts.bodies.lock().unwrap();
    assert_eq!(asked[0].header("host"), Some("sts.eu-central-1.amazonaws.com"));
    assert_eq!(asked[0].head, "POST / HTTP/1.1");
    let audit = authority.audit();
    assert_eq!(audit.len(), 1);
    let line = &audit[0];
    assert_eq!(line["verdict"], "signed");
    assert_eq!((&line["certname"], &line["instance"]), (&ID.into(), &ID.into()));
    assert_eq!((&line["account"], &line["role"]), (&ACCOUNT.into(), &"web-7".into()));
    assert_eq!((&line["rule"], &line["proof"]), (&1.into(), &"iam".into()));
    assert_eq!(line["key"], crate::csr::sha256(&Key::one().spki));
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    let mode = fs::metadata(authority.path("audit.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn the_program_of_its_own_name_needs_no_command() {
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    let mut command = authority.command(&[]);
    let program = command.get_program().to_owned();
    command = Command::new(program);
    command.arg0("/usr/bin/enlist-autosign");
    command.arg("--config").arg(authority.path("autosign.toml")).arg(ID);
    expect(&judge(command, request(0).as_bytes()), 0, "signed by rule 1");
    let mut usage = Command::new(env!("CARGO_BIN_EXE_enlist"));
    let run = common::run(usage.arg0("enlist-autosign").stdin(Stdio::null()));
    assert_eq!(run.code, 64, "{}", run.stderr);
    assert!(run.stderr.contains("`enlist autosign --help`"), "{}", run.stderr);
}

/// The server signs whatever ends with 0, and some servers accept such a certname.
#[test]
fn a_certname_is_never_an_option() {
    for name in ["--help", "-h", "--version", "-V", "--explain", "help"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_enlist"));
        command.arg0("/usr/bin/enlist-autosign").arg(name);
        let run = judge(command, b"");
        assert_eq!(run.code, 78, "{name}: {}", run.stderr);
        assert!(run.stderr.contains(&format!("{name}: not signed")), "{}", run.stderr);
    }
    let mut two = Command::new(env!("CARGO_BIN_EXE_enlist"));
    let run = common::run(two.arg0("enlist-autosign").args(["--help", ID]).stdin(Stdio::null()));
    assert_eq!(run.code, 64, "{}", run.stdout);
}

/// The program of the packages hands the name on as it is.
#[test]
fn the_packaged_program_takes_one_argument_for_the_certname() {
    let directory = tempfile::tempdir().unwrap();
    let packaged = std::fs::read_to_string("packaging/enlist-autosign").unwrap();
    let shown = packaged.replace("exec /usr/bin/enlist", "printf '%s\\n'");
    assert_ne!(shown, packaged);
    let script = directory.path().join("program");
    std::fs::write(&script, shown).unwrap();
    for (arguments, handed_on) in [
        (&["--help"][..], "autosign\n--\n--help\n"),
        (&[ID], &format!("autosign\n--\n{ID}\n")),
        (&["--explain", ID], &format!("autosign\n--explain\n{ID}\n")),
        (&[], "autosign\n"),
    ] {
        let output = Command::new("sh").arg(&script).args(arguments).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), *handed_on);
    }
}

#[test]
fn a_copied_proof_is_refused_by_sts_and_audited() {
    let (authority, sts) = Authority::with(|asked, _| as_aws(asked));
    let proof = request(0);
    // The same attributes under another key.
    let der = pem::parse(&proof).unwrap().into_contents();
    let text = String::from_utf8_lossy(&der).into_owned();
    let json = &text[text.find("{\"authorization\"").unwrap()..];
    let json = &json[..=json.find('}').unwrap()];
    let copied = Request::new(ID).iam(json).pem(Key::other());
    expect(&authority.judge(copied.as_bytes()), 69, "SignatureDoesNotMatch");
    assert_eq!(sts.asked(), 1);
    let audit = authority.audit();
    assert_eq!(
        (&audit[0]["verdict"], &audit[0]["rule"]),
        (&"refused".into(), &serde_json::Value::Null)
    );
    assert!(audit[0]["why"].as_str().unwrap().contains("SignatureDoesNotMatch"));
    let text = fs::read_to_string(authority.path("audit.jsonl")).unwrap();
    assert!(!text.contains(TOKEN) && !text.contains("Signature="), "{text}");
}

#[test]
fn explain_prints_every_check_and_writes_no_audit_line() {
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    let run = judge(authority.command(&["--explain", ID]), request(0).as_bytes());
    assert_eq!(run.code, 0, "{}", run.stderr);
    for check in [
        "ok       own signature: RSA, SHA-256",
        "ok       iam: host: sts.eu-central-1.amazonaws.com",
        "ok       iam: signed headers: accept;content-type;host;x-amz-date;x-amz-security-token;x-enlist-binding",
        "rule 1 (iam)",
        "ok       account: 123456789012",
        "ok       role: web-7",
        "ok       name: ",
        "signed by rule 1",
    ] {
        assert!(run.stdout.contains(check), "{}", run.stdout);
    }
    assert!(!run.stdout.contains(TOKEN), "{}", run.stdout);
    assert!(authority.audit().is_empty());
    let other = judge(authority.command(&["--explain", "other"]), request(0).as_bytes());
    assert_eq!(other.code, 65);
    assert!(other.stdout.contains("REFUSED  subject"), "{}", other.stdout);
}

#[test]
fn settings_that_are_missing_wrong_or_anybodys_are_refused() {
    let authority = Authority::new("");
    expect(&authority.judge(request(0).as_bytes()), 78, "no [[allow]]");
    fs::remove_file(authority.path("autosign.toml")).unwrap();
    expect(&authority.judge(request(0).as_bytes()), 78, "can't be read");
    fs::write(authority.path("autosign.toml"), RULE).unwrap();
    let mode = fs::Permissions::from_mode(0o666);
    fs::set_permissions(authority.path("autosign.toml"), mode).unwrap();
    expect(&authority.judge(request(0).as_bytes()), 78, "chmod");
}

#[test]
fn input_that_is_no_request_is_refused_whole() {
    let (authority, sts) = Authority::with(|asked, _| as_aws(asked));
    let der = pem::parse(request(0)).unwrap().into_contents();
    for (input, why) in [
        (Vec::new(), "standard input is empty"),
        (der, "DER, not PEM"),
        (vec![b'A'; 1024 * 1024], "larger than 65536 bytes"),
        (b"\xff\xfe".to_vec(), "not PEM"),
    ] {
        expect(&authority.judge(&input), 65, why);
    }
    assert_eq!(sts.asked(), 0);
    assert_eq!(authority.audit().len(), 4);
}

#[test]
fn a_clock_that_is_off_by_an_hour_is_said() {
    let (authority, sts) = Authority::with(|asked, _| as_aws(asked));
    expect(&authority.judge(request(3600).as_bytes()), 69, "1 h 0 min ago");
    assert_eq!(sts.asked(), 0);
    // STS finds the proof too old by its own clock.
    let (authority, _sts) = Authority::with(|_, _| {
        let answer = whole("403 Forbidden", MISMATCH);
        answer.replacen("\r\n", "\r\ndate: Tue, 14 Jul 2026 12:00:00 GMT\r\n", 1)
    });
    expect(&authority.judge(request(0).as_bytes()), 69, "h ahead of the endpoint's");
}

#[test]
fn sts_that_is_down_slow_busy_or_somebody_else_refuses_in_time() {
    let (authority, sts) = Authority::with(|_, _| whole("200 OK", "<html>Sign in</html>"));
    expect(&authority.judge(request(0).as_bytes()), 76, "what answered is not STS");
    assert_eq!(sts.asked(), 1);
    let (authority, _sts) = Authority::with(|_, _| {
        std::thread::sleep(Duration::from_secs(20));
        String::new()
    });
    let text = fs::read_to_string(authority.path("autosign.toml")).unwrap();
    fs::write(
        authority.path("autosign.toml"),
        text.replace("[sts]\n", "[sts]\ntimeout = \"1s\"\n"),
    )
    .unwrap();
    expect(&authority.judge(request(0).as_bytes()), 75, "STS has not answered in 1s");
    let throttle = r#"{"Error":{"Code":"Throttling","Message":"Rate exceeded"}}"#;
    let (authority, sts) = Authority::with(move |asked, number| match number {
        0 => whole("400 Bad Request", throttle),
        1 => whole("503 Service Unavailable", ""),
        _ => as_aws(asked),
    });
    expect(&authority.judge(request(0).as_bytes()), 0, "signed by rule 1");
    assert_eq!(sts.asked(), 3);
    let authority = Authority::new("");
    fs::copy("tests/data/aws-identity-rsa/eu-west-1.pem", authority.path("sts.pem")).unwrap();
    authority
        .settings(&format!("{RULE}[sts]\ntimeout = \"1s\"\nendpoint = \"https://localhost:1\"\n"));
    expect(&authority.judge(request(0).as_bytes()), 75, "GetCallerIdentity could not be sent");
    // Another server under the name of STS.
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    fs::copy("tests/data/aws-identity-rsa/eu-west-1.pem", authority.path("sts.pem")).unwrap();
    expect(&authority.judge(request(0).as_bytes()), 78, "no secure connection");
}

#[test]
fn a_challenge_password_is_read_from_its_file() {
    let authority = Authority::new("");
    let (psk, audit) = (authority.path("psk"), authority.path("audit.jsonl"));
    fs::write(&psk, "open sesame\n").unwrap();
    fs::set_permissions(&psk, fs::Permissions::from_mode(0o640)).unwrap();
    let settings = format!(
        "[[allow]]\nproof = \"challenge-password\"\npassword = {{ file = \"{}\" }}\n[audit]\nfile = \"{}\"\n",
        psk.display(),
        audit.display()
    );
    fs::write(authority.path("autosign.toml"), settings).unwrap();
    let with = |text: &str| {
        Request::new(ID).attribute(crate::csr::CHALLENGE.to_vec(), text).pem(Key::one())
    };
    expect(
        &authority.judge(with("open sesame").as_bytes()),
        0,
        "signed by rule 1 (challenge-password)",
    );
    expect(&authority.judge(with("open sesam").as_bytes()), 69, "the challenge password is wrong");
    fs::remove_file(&psk).unwrap();
    expect(&authority.judge(with("open sesame").as_bytes()), 78, "can't be read");
    let audit = fs::read_to_string(authority.path("audit.jsonl")).unwrap();
    assert!(!audit.contains("sesam"), "{audit}");
}

/// A proxy that makes the connections that it is asked for, and counts them.
fn proxy(to: u16) -> (u16, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut client = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
            seen.lock().unwrap().push(line);
            let server = std::net::TcpStream::connect(("127.0.0.1", to)).unwrap();
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut into));
            let (mut from, mut into) = (server, client);
            std::thread::spawn(move || std::io::copy(&mut from, &mut into));
        }
    });
    (port, asked)
}

/// Only the proxy knows the name `sts.test.invalid`; the certificate is for `localhost`.
#[test]
fn sts_is_asked_through_the_proxy_of_the_settings_or_the_environment() {
    let (authority, sts) = Authority::with(|asked, _| as_aws(asked));
    let (port, asked) = proxy(sts.port);
    let text = fs::read_to_string(authority.path("autosign.toml")).unwrap();
    // A loopback address is never asked through a proxy, so a name stands for STS.
    let named = text.replace("https://localhost", "https://sts.test.invalid");
    let with = |text: &str| fs::write(authority.path("autosign.toml"), text).unwrap();
    let setting = format!("[sts]\nproxy = \"http://127.0.0.1:{port}\"\n");
    with(&named.replace("[sts]\n", &setting));
    expect(&authority.judge(request(0).as_bytes()), 78, "no secure connection");
    with(&named);
    let mut command = authority.command(&[ID]);
    command.env("HTTPS_PROXY", format!("http://127.0.0.1:{port}"));
    expect(&judge(command, request(0).as_bytes()), 78, "no secure connection");
    let line = format!("CONNECT sts.test.invalid:{} HTTP/1.1", sts.port);
    assert_eq!(*asked.lock().unwrap(), [line.clone(), line]);
    // The tunnel reached the server, whose certificate is for another name; nothing was sent.
    assert_eq!(sts.asked(), 0);
}
