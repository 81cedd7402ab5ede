//! One connector for everything that leaves: TCP without delay, TLS 1.2 or 1.3 where the address asks for it.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::UpstreamError;

/// Certificates in one file of authorities. The public list has some 150.
const CERTIFICATES_MAX: usize = 1_000;

/// Which versions of HTTP to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    /// HTTP/1.1, for REST: one request a connection at a time, no head-of-line blocking between requests.
    One,
    /// HTTP/2, for gRPC.
    Two,
}

/// The connector. `ca_pem` replaces the public authorities: a hospital's own servers are vouched for by its own.
pub(crate) fn connector(
    ca_pem: Option<&[u8]>,
    connect_timeout: Duration,
    versions: Versions,
) -> Result<HttpsConnector<HttpConnector>, UpstreamError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    let schemes = HttpsConnectorBuilder::new().with_tls_config(tls(ca_pem)?).https_or_http();
    Ok(match versions {
        Versions::One => schemes.enable_http1().wrap_connector(tcp),
        Versions::Two => schemes.enable_http2().wrap_connector(tcp),
    })
}

fn tls(ca_pem: Option<&[u8]>) -> Result<ClientConfig, UpstreamError> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            let wrong =
                |what: &str| UpstreamError::Settings(format!("the file of certificate authorities {what}"));
            for certificate in CertificateDer::pem_slice_iter(pem).take(CERTIFICATES_MAX) {
                let certificate = certificate.map_err(|_| wrong("is not PEM: export it as PEM"))?;
                let added = roots.add(certificate);
                added.map_err(|_| wrong("holds a certificate that cannot be read: export it again"))?;
            }
            if roots.is_empty() {
                return Err(wrong("holds no certificate: it should have at least one in PEM"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| UpstreamError::Settings(format!("TLS cannot be set up: {e}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_file_that_is_none_is_refused() {
        let none = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in [&b""[..], b"not a certificate", none] {
            let made = connector(Some(pem), Duration::from_secs(1), Versions::One);
            assert!(matches!(made, Err(UpstreamError::Settings(_))));
        }
        assert!(connector(None, Duration::from_secs(1), Versions::Two).is_ok());
    }
}
