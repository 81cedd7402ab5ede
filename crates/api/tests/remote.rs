//! The gateway in front of a remote server of the protocol: another served gateway with the real model, over REST and
//! over gRPC.

#[path = "../../gateway/tests/common/mod.rs"]
mod common;
mod served;

use std::sync::Arc;

use api::ServerLimits;
use common::{bench, blocking, breast_mass};
use gateway::Backend;
use served::{body, post};
use upstream::{Config, Remote, Secret};

const INFER: &str = "/v2/models/breast-mass/infer";

#[tokio::test]
async fn answers_of_a_remote_server_are_the_models_and_carry_our_receipt() {
    let fixture = breast_mass(&blocking());
    let far = bench(&fixture.version());
    let (rest, grpc) =
        (served::rest(&far.gateway, ServerLimits::default()), served::grpc_server(&far.gateway));
    let (good, bad) = fixture.good_and_bad();
    let direct = post(&rest, INFER, Some(&far.key), &body(&good)).await.json();
    for target in [format!("http://{}", rest.address()), format!("grpc://{}", grpc.address())] {
        let mut config = Config::new(target.parse().unwrap(), "breast-mass");
        config.bearer = Some(Secret::new(far.key.clone()));
        let remote = Remote::connect(config).unwrap();
        let near = bench(&fixture.version_on(Backend::Remote(Arc::new(remote))));
        let server = served::rest(&near.gateway, ServerLimits::default());
        let reply = post(&server, INFER, Some(&near.key), &body(&good)).await;
        assert_eq!(reply.status, 200, "{target}: {reply:?}");
        let answer = reply.json();
        assert_eq!(answer["outputs"][0]["data"], direct["outputs"][0]["data"], "{target}");
        assert_eq!(answer["parameters"]["asepsis_receipt"], "1", "our ledger, not theirs");
        let before = far.ledger.of("opened").len();
        assert_eq!(post(&server, INFER, Some(&near.key), &body(&bad)).await.code(), "E014");
        assert_eq!(far.ledger.of("opened").len(), before, "what is blocked never leaves");
    }
}
