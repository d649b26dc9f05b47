//! A server whose answers the test writes byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Answers the first request of each connection, and then closes it.
pub struct Server {
    pub port: u16,
    asked: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server. `say` gets the head and the body of a request; both are empty if the request is
    /// not HTTP.
    pub fn start(
        say: impl Fn(&str, &str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, asked: Arc::default(), heads: Arc::default() };
        let (say, asked, heads) = (Arc::new(say), server.asked.clone(), server.heads.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (say, asked, heads) = (say.clone(), asked.clone(), heads.clone());
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let (head, body) = read_request(&stream).unwrap_or_default();
                    asked.fetch_add(1, Ordering::SeqCst);
                    heads.lock().unwrap().push(head.clone());
                    // The client may close the connection before the end.
                    let _ = say(&head, &body, &mut stream);
                });
            }
        });
        server
    }

    /// A server with the same answer to every request.
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, _, stream| stream.write_all(&bytes))
    }

    /// A metadata service: a token for every PUT, else the answer for the path.
    pub fn metadata(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |head, _, stream| {
            let first = head.lines().next().unwrap_or_default();
            let path = first.split(' ').nth(1).unwrap_or_default();
            let answer = if first.starts_with("PUT ") { token("21600") } else { answer(path) };
            stream.write_all(answer.as_bytes())
        })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests it got.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// The answer with a token of this lifetime, in seconds.
pub fn token(life: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: {life}\r\ncontent-length: 1\r\nconnection: close\r\n\r\nt"
    )
}

/// A complete answer. The status may be followed by header lines.
pub fn whole(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn read_request(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}
