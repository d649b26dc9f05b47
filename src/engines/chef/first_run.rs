//! The first run of chef-client.

use super::Site;
use crate::engines::Run;

/// Exit codes of a first run that need a person (Chef's source, `licensing.rb`, and its documentation,
/// "Accepting the Chef License").
const FAILURES: [(i32, &str); 3] = [
    (
        172,
        "Chef's license is not accepted: set license = \"accept\" in [chef], then run `enlist join`",
    ),
    (
        173,
        "the license key of Chef 19 does not entitle to chef-client: check it with `chef-client --version`",
    ),
    (
        174,
        "Chef 19 has no license key: set CHEF_LICENSE_KEY or CHEF_LICENSE_SERVER for chef-client",
    ),
];

/// The first run. Exit codes 35 and 37 mean that it succeeded and a reboot is needed (Chef's RFC 062).
pub(super) fn first_run(site: &Site<'_>) -> Run {
    let settings = site.settings;
    let mut arguments = vec!["-j".to_owned(), site.place("first-boot.json", 0o644).path];
    if let Some(environment) = settings.environment.as_ref().filter(|_| settings.policy.is_none()) {
        arguments.extend(["-E".to_owned(), environment.clone()]);
    }
    let path = settings.program.clone();
    Run {
        program: site.product.program(),
        path,
        arguments,
        succeeds_with: vec![0, 35, 37],
        failures: &FAILURES,
    }
}

#[cfg(test)]
mod tests {
    use super::first_run;
    use crate::engines::chef::Chef;

    /// A license is a person's matter, and a reboot that is needed is none.
    #[test]
    fn the_exit_codes_of_a_first_run_are_named() {
        let chef = Chef { environment: Some("prod".to_owned()), ..Chef::default() };
        let run = first_run(&chef.site(None));
        assert_eq!(run.arguments, ["-j", "/etc/chef/first-boot.json", "-E", "prod"]);
        for (code, word) in
            [(172, "license = \"accept\""), (173, "entitle"), (174, "CHEF_LICENSE_KEY")]
        {
            let named = run.failures.iter().find(|(known, _)| *known == code);
            assert!(named.is_some_and(|(_, todo)| todo.contains(word)), "{code}");
            assert!(!run.succeeds_with.contains(&code));
        }
        assert_eq!(run.succeeds_with, [0, 35, 37]);
    }
}
