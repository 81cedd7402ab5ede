//! What fuzz targets call: any bytes, through everything that reads bytes from outside.

use crate::{Chunk, Endpoint, EventReader, Limits, Reply, Request};

const ENDPOINTS: [Endpoint; 3] = [Endpoint::Chat, Endpoint::Responses, Endpoint::Embeddings];

/// Reads `bytes` as a request; what was read is written back as it came, and with every text exchanged it is still read.
///
/// Returns false when that does not hold.
pub fn request(bytes: &[u8]) -> bool {
    let limits = Limits::default();
    ENDPOINTS.into_iter().all(|endpoint| {
        let Ok(mut request) = Request::parse(endpoint, bytes.to_vec(), &limits) else { return true };
        let model = request.model().to_owned();
        let as_it_came = model.is_empty() || Request::parse(endpoint, request.write(&model), &limits).is_ok();
        for n in 0..request.pieces().len() {
            request.set_text(n, "\"\\\n\u{1F600}".to_owned());
        }
        as_it_came && Request::parse(endpoint, request.write("m"), &limits).is_ok()
    })
}

/// Reads `bytes` as a reply and as a stream cut at every `step` bytes.
///
/// Returns false when a cut changes what is read.
pub fn reply(bytes: &[u8], step: usize) -> bool {
    let limits = Limits::default();
    let read = |step: usize| {
        let (mut reader, mut out) = (EventReader::new(limits), Vec::new());
        let whole = bytes.chunks(step.max(1)).all(|piece| reader.push(piece, &mut out).is_ok());
        (whole, out)
    };
    let (whole, cut) = (read(bytes.len()), read(step));
    for endpoint in ENDPOINTS {
        if let Ok(reply) = Reply::parse(endpoint, bytes.to_vec(), &limits) {
            let _ = reply.write("{}");
        }
        for event in &whole.1 {
            if let Ok(chunk) = Chunk::parse(endpoint, event.data.clone(), &limits) {
                let _ = chunk.write(Some("{}"));
            }
        }
    }
    whole == cut
}
