//! Why a CA has refused a request, and what to do. The server's text is shown to the user. It selects
//! the advice, and it tells whether the name is taken. Source: Puppet Server's `certificate_authority.clj`, of versions 5 to 8.

use crate::fault::{Fault, Kind};

/// A part of the server's text, and what to do.
const ADVICE: [(&str, &str); 9] = [
    (
        "subject alternative names",
        "ask for no alternative names, or set allow-subject-alt-names in the server's ca.conf, run `puppetserver ca clean --certname NAME` there, then `enlist join`",
    ),
    (
        "authorization extension",
        "take the pp_auth extensions out of extension_requests in [puppet], or set allow-authorization-extensions in the server's ca.conf; run `puppetserver ca clean --certname NAME` there, then `enlist join`",
    ),
    (
        "extensions that are not permitted",
        "take the named extensions out of extension_requests in [puppet] and csr_attributes.yaml; run `puppetserver ca clean --certname NAME` on the server, then `enlist join`",
    ),
    (
        REVOKED,
        "run `puppetserver ca clean --certname NAME` on the server, then `enlist join`: a name of a revoked certificate is not signed again",
    ),
    ("lower case", "set node.name to a name in lower case"),
    ("wildcard", "set node.name to a name without *"),
    ("hostname format is invalid", "set node.name to a host name: letters, digits, - and ."),
    ("non-ASCII", "set node.name to a host name: letters, digits, - and ."),
    ("does not match requested key", "this is a bug in enlist; please report it"),
];

/// The text of the answer contains this if the CA has a certificate or a request of the name.
const TAKEN: &str = "ignoring certificate request";

/// The certificate of this name is revoked and was not removed. No look changes that.
const REVOKED: &str = "already has a revoked certificate";

const UNKNOWN: &str = "correct what the server's reason names";
const NO_REASON: &str = "look into the server's log: it gave no reason";

/// The fault for a refusal of the request of the node `name`. A request is sent only when the CA has nothing of this name. If the name is
/// taken now, an earlier request of ours may have arrived, or another machine took the name. The fault
/// is then in doubt, so that the CA is asked again.
#[must_use]
pub fn fault(reason: &str, name: &str, authority: &str) -> Fault {
    let named = |todo: &str| todo.replace("NAME", name);
    let caused = |fault: Fault| if reason.is_empty() { fault } else { fault.cause(reason) };
    // Where a server words it in another language, the status decides: both looks before the request found nothing.
    // The next join looks again.
    if reason.contains(TAKEN) && !reason.contains(REVOKED) {
        let what = "the CA has refused the request, and may have one of this name already";
        let todo = "if it lasts, run `puppetserver ca clean --certname NAME` on the server, then `enlist join`";
        let fault = caused(Fault::new(Kind::Transient, what, authority, named(todo)));
        return fault.in_doubt().ends_as(Kind::Rejected);
    }
    let known = ADVICE.iter().find(|(part, _)| reason.contains(part));
    let todo = known.map_or(UNKNOWN, |(_, todo)| todo);
    let todo = if reason.is_empty() { NO_REASON } else { todo };
    let what = "the CA has refused the certificate request";
    caused(Fault::new(Kind::Rejected, what, authority, named(todo))).with_evidence("answer", reason)
}

#[cfg(test)]
mod tests {
    use super::fault;
    use crate::fault::Kind;

    #[test]
    fn the_servers_text_is_shown_and_picks_the_advice() {
        for (reason, todo) in [
            (
                "CSR 'n' contains extra subject alternative names (a), which are disallowed.",
                "allow-subject-alt-names",
            ),
            ("CSR 'n' contains an authorization extension, which is disallowed.", "pp_auth"),
            ("Found extensions that are not permitted: 1.2", "csr_attributes.yaml"),
            ("Certificate names must be lower case.", "lower case"),
            ("Subject hostname format is invalid", "node.name"),
            ("something new", "reason names"),
            (
                "n already has a revoked certificate; ignoring certificate request",
                "`puppetserver ca clean --certname n` on",
            ),
        ] {
            let fault = fault(reason, "n", "the server");
            assert!(fault.todo.contains(todo), "{reason}: {}", fault.todo);
            assert_eq!(fault.causes, [reason]);
            assert_eq!(fault.kind, Kind::Rejected);
        }
    }

    #[test]
    fn a_refusal_without_a_reason_has_no_cause() {
        let fault = fault("", "n", "the server");
        assert!(fault.causes.is_empty() && fault.todo.contains("gave no reason"), "{fault:?}");
    }

    #[test]
    fn a_text_in_another_language_is_final_and_is_shown() {
        let reason = "証明書要求が拒否されました";
        let fault = fault(reason, "n", "the server");
        assert!(!fault.is_retried() && !fault.may_have_happened);
        assert_eq!(
            (fault.causes.as_slice(), fault.kind),
            (&[reason.to_owned()][..], Kind::Rejected)
        );
    }

    #[test]
    fn a_name_that_was_taken_meanwhile_is_looked_at_again() {
        let reason = "n already has a signed certificate; ignoring certificate request";
        let fault = fault(reason, "n", "the server");
        assert!(fault.is_retried() && fault.may_have_happened);
        assert_eq!(fault.causes, [reason]);
    }
}
