"""Asks a served gateway with the field's own client, unchanged: python -m pip install "tritonclient[http,grpc]".

Arguments: REST address, gRPC address, key, system, tensor, JSON list of good values, JSON list of impossible values.
Prints one JSON line with what came back; the Rust test looks at it.
"""

import json
import sys

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException


def ask(module, client, system, tensor, rows, headers, binary):
    values = np.array(rows, dtype=np.float32)
    given = module.InferInput(tensor, list(values.shape), "FP32")
    if module is httpclient:
        given.set_data_from_numpy(values, binary_data=binary)
    else:
        given.set_data_from_numpy(values)
    outputs = None
    if module is httpclient and not binary:
        outputs = [httpclient.InferRequestedOutput("logits", binary_data=False)]
    # The client adds a header to the dictionary it is given.
    headers = dict(headers)
    result = client.infer(system, [given], outputs=outputs, request_id="r-1", headers=headers)
    response = result.get_response()
    if module is httpclient:
        parameters = response["parameters"]
        number = response["id"]
        version = response["model_version"]
    else:
        parameters = {k: v.string_param for k, v in response.parameters.items()}
        number = response.id
        version = response.model_version
    return {
        "logits": result.as_numpy("logits").tolist(),
        "parameters": parameters,
        "id": number,
        "version": version,
    }


def refused(call):
    try:
        call()
    except InferenceServerException as error:
        return {"status": str(error.status()), "message": error.message()}
    return None


def main():
    rest, grpc, key, system, tensor, good, bad = sys.argv[1:8]
    good, bad = json.loads(good), json.loads(bad)
    found = {}
    for name, module, address in (("http", httpclient, rest), ("grpc", grpcclient, grpc)):
        headers = {"authorization": f"Bearer {key}"}
        with module.InferenceServerClient(address) as client:
            told = {
                "live": client.is_server_live(),
                "ready": client.is_server_ready(),
                "model_ready": client.is_model_ready(system),
            }
            server = client.get_server_metadata()
            model = client.get_model_metadata(system, headers=headers)
            if module is httpclient:
                told["server"] = server["name"]
                told["inputs"] = model["inputs"]
            else:
                told["server"] = server.name
                told["inputs"] = [
                    {"name": i.name, "datatype": i.datatype, "shape": list(i.shape)} for i in model.inputs
                ]
            told["binary"] = ask(module, client, system, tensor, [good], headers, True)
            told["json"] = ask(module, client, system, tensor, [good], headers, False)
            told["batch"] = ask(module, client, system, tensor, [good, good], headers, True)
            told["versioned"] = client.is_model_ready(system, told["binary"]["version"])
            told["bad"] = refused(lambda: ask(module, client, system, tensor, [bad], headers, True))
            told["no_key"] = refused(lambda: ask(module, client, system, tensor, [good], {}, True))
            told["no_system"] = refused(lambda: ask(module, client, "nothing-here", tensor, [good], headers, True))
        found[name] = told
    print(json.dumps(found))


if __name__ == "__main__":
    main()
