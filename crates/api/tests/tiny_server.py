"""llama.cpp's own server on a tiny model that is made here, on a free port of loopback; prints its address and serves until
standard input closes. First argument: a folder for the model. Second: `embeddings` for a server of vectors."""
import pathlib
import sys

import xllamacpp

import tiny_model

path = pathlib.Path(sys.argv[1]) / "tiny.gguf"
tiny_model.main(str(path))
params = xllamacpp.CommonParams()
params.model.path = str(path)
params.n_ctx = 2048
params.cpuparams.n_threads = 1
params.warmup = False
params.port = 0
if sys.argv[2:] == ["embeddings"]:
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
