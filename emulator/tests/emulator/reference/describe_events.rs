//! DescribeEvents.

use serde_json::{Value, json};

use super::*;
use crate::Outcome;

/// A server with eight events, two every ten seconds.
fn eventful() -> ControlPlane {
    let mut plane = plane();
    for number in 0..4 {
        back_up(&mut plane, number * 10, "puppet");
    }
    assert_eq!(status(&mut plane, 40, "puppet"), "HEALTHY");
    plane
}

#[test]
fn results_are_ordered_by_time_with_newest_events_first() {
    let mut plane = eventful();
    let found = ok(&mut plane, 40, "DescribeEvents", &named("puppet"));
    let rows = found["ServerEvents"].as_array().cloned().unwrap_or_default();
    let moments: Vec<_> = rows.iter().filter_map(|row| row["CreatedAt"].as_f64()).collect();
    assert_eq!(moments.len(), 8);
    assert!(moments.is_sorted_by(|later, earlier| later >= earlier), "{moments:?}");
    assert!(rows.iter().all(|row| row["ServerName"] == "puppet"));
    // "The Amazon S3 URL of the event's log file."
    assert!(
        rows[0]["LogUrl"].as_str().is_some_and(|url| url.starts_with("https://s3.")),
        "{rows:?}"
    );
}

#[test]
fn if_the_number_of_results_exceeds_this_maximum_the_response_includes_a_next_token() {
    let mut plane = eventful();
    let all = events(&mut plane, 40, "puppet");
    for size in 1..=9 {
        let mut found = Vec::new();
        let mut token = Value::Null;
        loop {
            let body = json!({ "ServerName": "puppet", "MaxResults": size, "NextToken": token });
            let page = ok(&mut plane, 40, "DescribeEvents", &body);
            let rows = page["ServerEvents"].as_array().cloned().unwrap_or_default();
            assert!((1..=size).contains(&rows.len()), "pages of {size}");
            found.extend(rows.iter().map(|row| row["Message"].as_str().unwrap_or("").to_owned()));
            token = page["NextToken"].clone();
            // "If there are no more results, the response object's `nextToken` parameter value is
            // `null`."
            if token.is_null() {
                break;
            }
        }
        assert_eq!(found, all, "pages of {size}");
    }
}

/// What happens between two pages neither repeats nor hides an event.
#[test]
fn new_events_do_not_move_the_next_page() {
    let mut plane = eventful();
    let all = events(&mut plane, 40, "puppet");
    let body = json!({ "ServerName": "puppet", "MaxResults": 3 });
    let token = ok(&mut plane, 40, "DescribeEvents", &body)["NextToken"].clone();
    back_up(&mut plane, 40, "puppet");
    let body = json!({ "ServerName": "puppet", "NextToken": token });
    let rest = ok(&mut plane, 50, "DescribeEvents", &body)["ServerEvents"].clone();
    let rest: Vec<_> = rest.as_array().into_iter().flatten().map(|row| &row["Message"]).collect();
    assert_eq!(rest, all[3..].iter().collect::<Vec<_>>());
}

#[test]
fn a_next_token_that_was_not_returned_causes_an_invalid_next_token_exception() -> Outcome {
    let mut plane = eventful();
    let body = json!({ "ServerName": "puppet", "MaxResults": 3 });
    let token = ok(&mut plane, 40, "DescribeEvents", &body)["NextToken"].clone();
    let token = token.as_str().ok_or("no token")?;
    let changed = format!("{}A", &token[..token.len() - 1]);
    for (server, token) in [
        ("puppet", "x"),
        ("puppet", ""),
        ("puppet", "NQ"),
        ("puppet", "é"),
        ("puppet", &changed),
        ("chef", token),
    ] {
        let body = json!({ "ServerName": server, "NextToken": token });
        let found = error(&mut plane, 40, "DescribeEvents", &body);
        assert_eq!(found, "InvalidNextTokenException", "{server} {token}");
    }
    Ok(())
}

/// Events are bounded: a server that is kept for years has its newest thousand.
#[test]
fn the_newest_thousand_are_kept() {
    let mut plane = paper(settings(Times::default()));
    for number in 0..1200 {
        ok(&mut plane, number, "UpdateServer", &named("puppet"));
    }
    assert_eq!(events(&mut plane, 1200, "puppet").len(), 1000);
}
