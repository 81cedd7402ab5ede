"""A model for MLServer that runs an ONNX file through onnxruntime: a real model behind a real server, for tests."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    """Serves `parameters.uri` of its settings."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feeds = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        for name, values in feeds.items():
            if np.any(values < 0):
                # As careless servers do: the message repeats the patient's values. The client must not pass them on.
                raise InferenceError(f"input {name} has negative values: {values.tolist()}")
        wanted = [output.name for output in payload.outputs or []] or None
        names = wanted or [output.name for output in self._session.get_outputs()]
        results = self._session.run(wanted, feeds)
        outputs = [NumpyCodec.encode_output(name, result) for name, result in zip(names, results)]
        return InferenceResponse(
            id=payload.id, model_name=self.name, model_version=self.version, outputs=outputs
        )
