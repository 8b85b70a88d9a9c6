//! gRPC over simulated connections.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use descent_proto::channel::{Connection, Credentials, endpoint};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::server::Connected;
use turmoil::net::{TcpListener, TcpStream};

const PORT: u16 = 4780;

/// One end of a simulated connection.
pub(crate) struct Pipe(TcpStream);

impl Connected for Pipe {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Connections to this host, as they come.
pub(crate) async fn listen() -> io::Result<ReceiverStream<io::Result<Pipe>>> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if sender.send(Ok(Pipe(stream))).await.is_err() {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// A connection to a host, with the keepalive and the timeouts that every client of ours has.
pub(crate) fn connect(host: &'static str) -> Connection {
    let endpoint = endpoint(&format!("http://{host}:{PORT}"), &Credentials::default());
    let channel = endpoint
        .expect("a URL")
        .connect_with_connector_lazy(Dial(host));
    Connection::from_channels(vec![channel], None).expect("one channel")
}

#[derive(Clone)]
struct Dial(&'static str);

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let host = self.0;
        Box::pin(async move {
            let stream = TcpStream::connect((host, PORT)).await?;
            Ok(TokioIo::new(stream))
        })
    }
}
