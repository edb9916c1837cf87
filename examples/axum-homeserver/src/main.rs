//! The homeserver alone, at 127.0.0.1:8008 or at the address that is its argument.
use axum_homeserver::Homeserver;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8008".to_owned());
    Homeserver::default().serve(TcpListener::bind(address).await?).await
}
