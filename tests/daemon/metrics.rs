//! Metrics on a Unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::common::Node;
use crate::{Daemon, PUPPET, TIMEOUT};

#[test]
fn the_socket_serves_metrics() {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[metrics]\nsocket = \"/run/enlist/metrics.sock\"\n"));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let mut stream = UnixStream::connect(node.path("run/enlist/metrics.sock")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("enlist_joined{target=\"opsworks-cm\"} 1\n"), "{answer}");
    assert!(answer.contains("enlist_certificate_not_after_seconds{target=\"opsworks-cm\"} "));
    daemon.stop();
}

#[test]
fn clients_that_never_read_delay_neither_others_nor_a_stop() {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[metrics]\nsocket = \"/run/enlist/metrics.sock\"\n"));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let path = node.path("run/enlist/metrics.sock");
    let connect = |asks: bool| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        if asks {
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        }
        stream
    };
    let began = Instant::now();
    let (mut stuck, mut readers) = (Vec::new(), Vec::new());
    for number in 0..50 {
        // Half of them send a request and do not read the answer; the others send nothing.
        stuck.push(connect(number % 2 == 0));
        readers.push(connect(true));
    }
    for mut reader in readers {
        let mut answer = String::new();
        reader.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("enlist_joined{target=\"opsworks-cm\"} 1\n"), "{answer}");
    }
    // If served one after the other, the silent ones would take two seconds each.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // More silent clients than are served at a time.
    stuck.extend((0..300).map(|_| connect(false)));
    let began = Instant::now();
    daemon.stop();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop(stuck);
}
