//! A real HTTP server on loopback that speaks both protocols and fails as it is told to.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What came in.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Asked {
    /// The system's and the user's part of a message of either protocol.
    pub fn parts(&self) -> (String, String) {
        parts(&self.body)
    }
}

pub fn parts(body: &Value) -> (String, String) {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    match &body["system"] {
        Value::String(system) => (system.clone(), text(&body["messages"][0]["content"])),
        _ => (text(&body["messages"][0]["content"]), text(&body["messages"][1]["content"])),
    }
}

/// What goes out.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status, headers, a body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Promises a long body and closes the connection in the middle.
    BreakOff(String),
    /// Closes the connection without a word.
    Close,
    /// Says nothing for so long.
    Slow(Duration),
}

impl Answer {
    pub fn json(value: &Value) -> Self {
        Self::Say(200, Vec::new(), value.to_string())
    }

    pub fn error(status: u16, message: &str) -> Self {
        Self::Say(status, Vec::new(), json!({"error": {"message": message}}).to_string())
    }
}

type Handler = dyn Fn(&Asked, usize) -> Answer + Send + Sync;

/// The server; it ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers each request by `handler`, which is told how many came before it.
    pub fn new(handler: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let handler: Arc<Handler> = Arc::new(handler);
        let thread = std::thread::spawn({
            let (asked, stop) = (asked.clone(), stop.clone());
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (asked, handler) = (asked.clone(), handler.clone());
                    std::thread::spawn(move || {
                        let _ = serve(stream.unwrap(), &asked, &*handler);
                    });
                }
            }
        });
        Self { address, asked, stop, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    mut stream: TcpStream,
    asked: &Mutex<Vec<Asked>>,
    handler: &Handler,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_lowercase(), value.trim().to_owned());
            }
            None => break,
        }
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let request = Asked { method, path, headers, body };
    let before = {
        let mut all = asked.lock().unwrap();
        all.push(request.clone());
        all.len() - 1
    };
    match handler(&request, before) {
        Answer::Say(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\n");
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len())
        }
        Answer::BreakOff(body) => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len() + 500)
        }
        Answer::Close => Ok(()),
        Answer::Slow(time) => {
            std::thread::sleep(time);
            Ok(())
        }
    }
}

/// A message of either protocol that says `text`.
pub fn message(body: &Value, text: &str, usage: (u64, u64)) -> Value {
    let model = &body["model"];
    if body["system"].is_string() {
        json!({"type": "message", "model": model, "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": usage.0, "output_tokens": usage.1}})
    } else {
        json!({"model": model, "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": usage.0, "completion_tokens": usage.1}})
    }
}

/// A labeller by rule: its label is the word that is marked, and its judgement whether that word is
/// there, or is marked.
pub fn perfect(body: &Value) -> String {
    let (system, user) = parts(body);
    if system.contains("\"label\"") {
        let word = user.split('«').nth(1).and_then(|rest| rest.split('»').next()).unwrap_or("?");
        return format!("Here it is: {{\"label\": \"{word}\"}}");
    }
    let word = user.lines().next().unwrap().trim_start_matches("Description: ").to_owned();
    let wanted = if system.contains("«") { format!("«{word}»") } else { word };
    judge(&user, |passage| passage.contains(&wanted))
}

/// Answers every passage of a judge's question.
pub fn judge(user: &str, says: impl Fn(&str) -> bool) -> String {
    let passages = user.lines().filter(|line| line.starts_with("Passage "));
    let list: Vec<u8> = passages.map(|passage| u8::from(says(passage))).collect();
    serde_json::to_string(&list).unwrap()
}
