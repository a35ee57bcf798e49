//! glommio executors that accept: one per core, all on the same addresses (SO_REUSEPORT).

use super::Place;
use super::stream::Stream;
use anyhow::Context;
use glommio::net::TcpListener;
use glommio::timer::sleep;
use glommio::{LocalExecutorBuilder, Placement};
use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Where received bytes land: one for all connections of an executor.
pub type Buffer = Rc<RefCell<Vec<u8>>>;

const BUFFER_BYTES: usize = 256 << 10;
/// How long accepting rests when descriptors are exhausted.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// Hands each connection to `serve`, until killed.
pub fn serve<F>(place: &Place, serve: impl Fn(Stream) -> F + Clone + Send + 'static) -> anyhow::Result<()>
where
    F: Future<Output = ()> + 'static,
{
    raise_descriptors()?;
    let placements = match place.cores.as_slice() {
        [] => vec![Placement::Unbound],
        cores => cores.iter().map(|&core| Placement::Fixed(core)).collect(),
    };
    // The first executor learns which ports the others are to share.
    let (tell, told) = crossbeam_channel::bounded(1);
    let mut wanted = place.listen.clone();
    let mut threads = Vec::new();
    for (index, placement) in placements.into_iter().enumerate() {
        let (addresses, serve, tell) = (wanted.clone(), serve.clone(), tell.clone());
        threads.push(std::thread::Builder::new().name(format!("origin-{index}")).spawn(move || {
            let executor = LocalExecutorBuilder::new(placement)
                .name("origin")
                .io_memory(64 << 10)
                .ring_depth(1024)
                .make()
                .map_err(|error| anyhow::anyhow!("glommio: {error}"));
            match executor {
                Ok(executor) => executor.run(accept_all(addresses, serve, tell)),
                Err(error) => drop(tell.send(Err(error))),
            }
        })?);
        wanted = told.recv().context("an executor ended early")??;
        if index == 0 {
            wanted.iter().for_each(|address| println!("listening on {address}"));
        }
    }
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("an executor ended"))?;
    }
    Ok(())
}

async fn accept_all<F>(
    addresses: Vec<SocketAddr>,
    serve: impl Fn(Stream) -> F + Clone + 'static,
    tell: crossbeam_channel::Sender<anyhow::Result<Vec<SocketAddr>>>,
) where
    F: Future<Output = ()> + 'static,
{
    let bound: anyhow::Result<Vec<(SocketAddr, TcpListener)>> = addresses
        .iter()
        .map(|address| {
            let listener = TcpListener::bind(address).map_err(|error| anyhow::anyhow!("{address}: {error}"))?;
            let local = listener.local_addr().map_err(|error| anyhow::anyhow!("{address}: {error}"))?;
            Ok((local, listener))
        })
        .collect();
    let listeners = match bound {
        Ok(bound) => {
            tell.send(Ok(bound.iter().map(|(address, _)| *address).collect())).ok();
            bound
        }
        Err(error) => return drop(tell.send(Err(error))),
    };
    let buffer: Buffer = Rc::new(RefCell::new(vec![0; BUFFER_BYTES]));
    let tasks: Vec<_> = listeners
        .into_iter()
        .map(|(_, listener)| glommio::spawn_local(accept(listener, serve.clone(), Rc::clone(&buffer))))
        .collect();
    for task in tasks {
        task.await;
    }
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(Stream) -> F, buffer: Buffer)
where
    F: Future<Output = ()> + 'static,
{
    loop {
        match listener.accept().await {
            Ok(stream) => {
                // A socket that is gone already is noticed by its reader.
                stream.set_nodelay(true).ok();
                glommio::spawn_local(serve(Stream::new(stream, Rc::clone(&buffer)))).detach();
            }
            Err(_) => sleep(OUT_OF_DESCRIPTORS).await,
        }
    }
}

fn raise_descriptors() -> anyhow::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
