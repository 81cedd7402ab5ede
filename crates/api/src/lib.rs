//! L5: wire types and routes: Open Inference Protocol over REST and gRPC, problem+json, OpenAPI.
