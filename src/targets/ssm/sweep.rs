//! Removes what earlier attempts of this node left at Systems Manager: every activation with its mark,
//! and the nodes that registered with them.

use super::api::{Activation, Answer, Request};
use super::{is_id, is_managed, protocol};
use crate::fault::Fault;
use crate::targets::{self, api, mismatch};

/// A list with more pages than this, of 50 entries each, counts as endless.
pub const MOST_PAGES: usize = 200;

/// The next request, given the answers so far. None when everything is removed.
///
/// # Errors
/// `Protocol` where an answer lacks a required member, or a list does not end.
pub fn sweep(
    name: &str,
    mark: &str,
    answers: &[targets::Answer],
) -> Result<Option<Request>, Fault> {
    let mut answers = Answers { rest: api::of_service(answers)?.into_iter() };
    let activations = match answers.activations(name, mark)? {
        Ok(activations) => activations,
        Err(request) => return Ok(Some(request)),
    };
    for activation in activations {
        if activation.has_registered {
            let instances = match answers.instances(&activation.id)? {
                Ok(instances) => instances,
                Err(request) => return Ok(Some(request)),
            };
            for instance in instances {
                if answers.rest.next().is_none() {
                    return Ok(Some(Request::DeregisterManagedInstance { instance }));
                }
            }
        }
        if answers.rest.next().is_none() {
            return Ok(Some(Request::DeleteActivation { activation: activation.id }));
        }
    }
    Ok(None)
}

/// An activation with this node's mark.
struct Marked {
    id: String,
    has_registered: bool,
}

/// The answers that were not used yet, in order.
struct Answers<'a> {
    rest: std::vec::IntoIter<&'a Answer>,
}

impl Answers<'_> {
    /// All activations with the mark, or the request for the next page of the list.
    fn activations(
        &mut self,
        name: &str,
        mark: &str,
    ) -> Result<Result<Vec<Marked>, Request>, Fault> {
        let ending = format!("(enlist {mark})");
        let (mut all, mut next) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            match self.rest.next() {
                None => {
                    return Ok(Err(Request::DescribeActivations { name: name.to_owned(), next }));
                }
                Some(Answer::Activations { list, next: more }) => {
                    for found in list.iter().filter(|found| is_marked(found, &ending)) {
                        all.push(marked(found)?);
                    }
                    next.clone_from(more);
                }
                Some(_) => return Err(mismatch("DescribeActivations")),
            }
            if next.is_none() {
                return Ok(Ok(all));
            }
        }
        Err(protocol("the list of DescribeActivations does not end"))
    }

    /// All nodes that registered with an activation, or the request for the next page of the list.
    fn instances(&mut self, activation: &str) -> Result<Result<Vec<String>, Request>, Fault> {
        let (mut instances, mut next) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            match self.rest.next() {
                None => {
                    let activation = activation.to_owned();
                    return Ok(Err(Request::DescribeInstanceInformation { activation, next }));
                }
                Some(Answer::ManagedInstances { ids, next: more }) => {
                    if ids.iter().any(|id| !is_managed(id)) {
                        return Err(protocol(
                            "DescribeInstanceInformation returned an id that is not of a managed instance",
                        ));
                    }
                    instances.extend(ids.iter().cloned());
                    next.clone_from(more);
                }
                Some(Answer::NotFound(_)) => next = None,
                Some(_) => return Err(mismatch("DescribeInstanceInformation")),
            }
            if next.is_none() {
                return Ok(Ok(instances));
            }
        }
        Err(protocol("the list of DescribeInstanceInformation does not end"))
    }
}

fn is_marked(found: &Activation, ending: &str) -> bool {
    found.description.as_ref().is_some_and(|text| text.ends_with(ending))
}

fn marked(found: &Activation) -> Result<Marked, Fault> {
    let id = found.id.clone().filter(|id| is_id(id));
    let id = id.ok_or_else(|| {
        protocol("DescribeActivations returned an activation without a usable id")
    })?;
    Ok(Marked { id, has_registered: found.registrations > 0 })
}

#[cfg(test)]
mod tests {
    use super::super::api::{Activation, Answer, Request};
    use super::sweep;
    use crate::fault::Kind;
    use crate::targets;

    const OURS: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "21111111-2222-3333-4444-555555555555";

    fn activation(id: &str, mark: &str, registrations: i32) -> Activation {
        let description = Some(format!("web (enlist {mark})"));
        Activation { id: Some(id.to_owned()), description, registrations }
    }

    fn page(list: &[Activation], next: Option<&str>) -> Answer {
        Answer::Activations { list: list.to_vec(), next: next.map(str::to_owned) }
    }

    fn managed(ids: &[&str], next: Option<&str>) -> Answer {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Answer::ManagedInstances { ids, next: next.map(str::to_owned) }
    }

    /// Every request, in order, for these answers.
    fn requests(answers: &[Answer]) -> Vec<Request> {
        let answers: Vec<targets::Answer> = answers.iter().cloned().map(Into::into).collect();
        (0..=answers.len())
            .filter_map(|count| sweep("web", "m", answers.get(..count)?).unwrap())
            .collect()
    }

    fn list(next: Option<&str>) -> Request {
        Request::DescribeActivations { name: "web".to_owned(), next: next.map(str::to_owned) }
    }

    fn registered(next: Option<&str>) -> Request {
        let next = next.map(str::to_owned);
        Request::DescribeInstanceInformation { activation: OURS.to_owned(), next }
    }

    fn delete() -> Request {
        Request::DeleteActivation { activation: OURS.to_owned() }
    }

    fn deregister(id: &str) -> Request {
        Request::DeregisterManagedInstance { instance: id.to_owned() }
    }

    #[test]
    fn activations_with_another_mark_are_not_touched() {
        let others = [activation(OTHER, "other", 1), activation(OTHER, "xm", 0)];
        assert_eq!(requests(&[page(&others, None)]), [list(None)]);
    }

    #[test]
    fn every_page_of_both_lists_is_asked_for() {
        let (first, second) = ("mi-00000001", "mi-00000002");
        let answers = [
            page(&[activation(OTHER, "other", 0)], Some("2")),
            page(&[activation(OURS, "m", 2)], None),
            managed(&[first], Some("b")),
            managed(&[second], None),
            Answer::Removed,
            Answer::NotFound("gone".to_owned()),
            Answer::Removed,
        ];
        let asked = [
            list(None),
            list(Some("2")),
            registered(None),
            registered(Some("b")),
            deregister(first),
            deregister(second),
            delete(),
        ];
        assert_eq!(requests(&answers), asked);
    }

    #[test]
    fn an_unused_activation_is_deleted_at_once() {
        let answers = [page(&[activation(OURS, "m", 0)], None), Answer::Removed];
        assert_eq!(requests(&answers), [list(None), delete()]);
    }

    #[test]
    fn endless_lists_and_invalid_ids_are_refused() {
        let endless: Vec<targets::Answer> =
            (0..300).map(|_| page(&[], Some("again")).into()).collect();
        let bad_id = [page(&[activation("../../x", "m", 0)], None).into()];
        let bad_instance =
            [page(&[activation(OURS, "m", 1)], None).into(), managed(&["i-1; rm"], None).into()];
        for answers in [&endless[..], &bad_id, &bad_instance] {
            assert_eq!(sweep("web", "m", answers).unwrap_err().kind, Kind::Protocol);
        }
    }
}
