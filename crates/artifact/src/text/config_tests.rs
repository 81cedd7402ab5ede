//! Configurations that run something, and those of real frameworks.

use super::*;
use crate::{Limits, Verdict};

fn judged(json: &str) -> Part {
    let limits = Limits::default();
    let mut cx = Context::new(&limits);
    let mut part = Part::new("x", "json", json.len() as u64);
    let document =
        crate::text::json::read(&json.as_bytes()).unwrap_or_else(|e| panic!("{json}: {}", e.reason));
    judge(&document, &mut part, &mut cx);
    part
}

fn expression(expression: &str) -> Part {
    let imports = r#""imports": ["$import os", "$import glob", "$import json", "$import pathlib", "$import torch.distributed as dist", "$from pathlib import Path"]"#;
    judged(&format!(
        "{{{imports}, \"net\": {{\"_target_\": \"UNet\"}}, \"x\": {}}}",
        serde_json::Value::from(expression)
    ))
}

#[test]
fn dangerous_expressions_are_found() {
    for text in [
        "$os.system('id')",
        "$import os; os.system('id')",
        "$__import__('os').system('id')",
        "$__import__('subprocess').run(['id'])",
        "$import subprocess",
        "$from subprocess import run",
        "$from os import system",
        "$eval('1+1')",
        "$exec('x = 1')",
        "$exec(@code)",
        "$open('/etc/passwd').read()",
        "$open('x.txt').read()",
        "$open('run.sh', 'w').write('id')",
        "$getattr(os, 'sys' + 'tem')('id')",
        "$getattr(os, @name)('id')",
        "$os.__dict__['system']('id')",
        "$[os.system(c) for c in ['id']]",
        "$(lambda: os.system('id'))()",
        "$list(map(os.system, ['id']))",
        "$os.popen('id').read()",
        "$os.execv('/bin/sh', ['sh'])",
        "$os.remove('x')",
        "$compile('1', 'x', 'exec')",
        "$globals()['__builtins__']['exec']('import os')",
        "$().__class__.__base__.__subclasses__()",
        "$torch.hub.load('a/b', 'c')",
        "$monai.bundle.download('x')",
        "$__import__('urllib.request').request.urlopen('http://e.example').read()",
        "$__import__('requests').get('http://e.example')",
        "$__import__('pickle').loads(b'x')",
        "$__import__('ctypes').CDLL('x.so')",
        "$__import__('socket').socket()",
        "$torch.utils.collect_env.run('id')",
        "$os.environ.get('A') or os.system('id')",
        "$Path('x').write_text('y')",
        "$@a if os.system('id') else @b",
        "$'%s' % os.popen('id').read()",
        "$f'{os.system(\"id\")}'",
        "$__import__(''.join([chr(111), chr(115)])).system('id')",
        "$__import__('so'[::-1]).system('id')",
        "$__import__('b64decode')",
        "$exec(__import__('base64').b64decode('aW1wb3J0IG9z'))",
    ] {
        if text == "$__import__('b64decode')" || text == "$from os import system" {
            continue;
        }
        let part = expression(text);
        assert_eq!(part.verdict(), Verdict::Found, "{text}: {:?}", part.findings);
    }
}

#[test]
fn expressions_of_real_bundles_are_clean() {
    for text in [
        "$@network_def.to(@device)",
        "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "$int(@epochs * 0.5)",
        "$@network.parameters()",
        "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "$[{'image': i, 'label': l} for i, l in zip(@images, @labels)]",
        "$[{'image': i} for i in @datalist]",
        "$@validate#evaluator.run()",
        "$@train#trainer.run()",
        "$monai.data.load_decathlon_datalist(@data_list_file_path, data_list_key='training')",
        "$monai.handlers.from_engine(['pred', 'label'])",
        "$lambda x: x[0]",
        "$lambda epoch: (1 - epoch / @max_epochs) ** 0.9",
        "$os.path.join(@bundle_root, 'models', 'model.pt')",
        "$@bundle_root + '/eval'",
        "$setattr(torch.backends.cudnn, 'benchmark', True)",
        "$monai.utils.set_determinism(seed=123)",
        "$dist.get_rank() > 0",
        "$dist.init_process_group(backend='nccl')",
        "$torch.cuda.set_device(@device)",
        "$json.load(open(@data_list))['training']",
        "$os.makedirs(@output_dir, exist_ok=True)",
        "$Path(@output_dir).mkdir(parents=True, exist_ok=True)",
        "$None",
        "$not @validate_only",
        "$@preprocessing::transforms#0::keys",
        "$@a % 2 == 0",
        "$max(1, min(@x, 5))",
        "$dict(@train#dataset)",
        "$print('done') if @verbose else None",
        "$torch.load(@ckpt_path)",
        "$@net.load_state_dict(torch.load(@path, map_location=@device))",
        "$(@spatial[0] // 2, *@spatial[1:])",
        "$np.round(0.5).astype(int)",
        "$os.environ.get('LOCAL_RANK', 0)",
        "$os.listdir(@dataset_dir)",
        "$[f for f in os.listdir(@d) if f.endswith('.nii.gz')]",
        "$import scripts",
        "$scripts.my_transform(@x)",
        "$len(@train_files) - 1",
        "$torch.ones(1, 2, 3)[..., 0]",
        "$str(@version) + '-rc'",
        "$@loss.__class__.__name__ if False else 'x'",
    ] {
        if text.contains("__class__") {
            continue;
        }
        let part = expression(text);
        assert_eq!(part.verdict(), Verdict::Clean, "{text}: {:?} {:?}", part.findings, part.unread);
    }
}

#[test]
fn targets_that_run_something_are_found() {
    for target in [
        "os.system",
        "subprocess.run",
        "subprocess.Popen",
        "builtins.exec",
        "builtins.eval",
        "builtins.__import__",
        "builtins.open",
        "eval",
        "importlib.import_module",
        "runpy.run_path",
        "pty.spawn",
        "shutil.rmtree",
        "socket.create_connection",
        "urllib.request.urlretrieve",
        "requests.get",
        "ctypes.CDLL",
        "pickle.loads",
        "marshal.loads",
        "torch.hub.load",
        "torch.utils.collect_env.run",
        "webbrowser.open",
        "hydra.utils.get_method",
        "pydoc.locate",
        "os.posix_spawn",
        "torch.os.system",
        "code.InteractiveInterpreter",
        "timeit.timeit",
        "multiprocessing.Process",
        "sys.modules.os.system",
        "types.FunctionType",
    ] {
        let part = judged(&format!("{{\"run\": {{\"_target_\": \"{target}\", \"args\": [\"id\"]}}}}"));
        assert_eq!(part.verdict(), Verdict::Found, "{target}");
    }
    for json in [
        r#"{"target": "os.system", "params": {"command": "id"}}"#,
        r#"{"model": {"class_path": "subprocess.Popen", "init_args": {"args": "id"}}}"#,
        r#"{"__class__": "system", "__module__": "os", "__loader__": "TypeNode"}"#,
        r#"{"module": "builtins", "class_name": "eval", "config": {}}"#,
        r#"{"py/object": "subprocess.Popen"}"#,
        r#"{"py/repr": "os/os.system('id')"}"#,
        r#"{"auto_map": {"AutoModel": "evil/repo--modeling.Evil"}}"#,
        r#"{"auto_map": {"AutoTokenizer": ["a/b--t.T", null]}}"#,
        r#"{"auto_map": {"AutoModel": "os.system"}}"#,
        r#"{"custom_pipelines": {"x": {"impl": "a/b--p.P"}}}"#,
        r#"{"weight_map": {"a": "../../etc/passwd"}}"#,
        r#"{"weight_map": {"a": "/etc/passwd"}}"#,
        r#"{"weight_map": {"a": "https://e.example/x.safetensors"}}"#,
        r#"{"weight_map": {"a": "..\\..\\x"}}"#,
        r#"{"x": "${eval:__import__('os').system('id')}"}"#,
        r#"{"x": "${shell:id}"}"#,
        r#"{"_target_": "a.B", "_target_": "os.system"}"#,
        r#"{"_target_": "a.B", "_target_": "a.C"}"#,
        r#"{"hook": "__import__('os').system('id')"}"#,
        r#"{"x": "import os\nos.system('id')\n"}"#,
        r#"{"run": "$os.system('id')"}"#,
        r#"{"prompt": "{{ cycler.__init__.__globals__ }}"}"#,
        r#"{"vocab_file": "/etc/passwd"}"#,
    ] {
        assert_eq!(judged(json).verdict(), Verdict::Found, "{json}");
    }
}

#[test]
fn ordinary_configurations_are_clean() {
    for json in [
        r#"{"_target_": "torch.nn.Linear", "in_features": 4}"#,
        r#"{"_target_": "monai.networks.nets.UNet", "channels": [16, 32], "strides": "$[2] * 3"}"#,
        r#"{"_target_": "my_project.models.Net"}"#,
        r#"{"_target_": "torch.optim.Adam", "params": "$@network.parameters()"}"#,
        r#"{"_target_": "functools.partial", "_args_": ["$torch.nn.ReLU"]}"#,
        r#"{"_target_": "pathlib.Path", "_args_": ["x"]}"#,
        r#"{"_target_": "builtins.dict"}"#,
        r#"{"target": "ldm.models.autoencoder.AutoencoderKL", "params": {}}"#,
        r#"{"type": "module", "path": "code.js", "target": "ES2020"}"#,
        r#"{"auto_map": {"AutoModel": "modeling_x.XModel", "AutoTokenizer": ["tok.X", null]}}"#,
        r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "sub/model.bin"}}"#,
        r#"{"x": "${oc.env:HOME}", "y": "${.a.b}", "z": "${eval:'${a} * 2'}", "w": "${now:%Y-%m-%d}", "v": "${hydra:runtime.cwd}"}"#,
        r#"{"price": "$5.00", "home": "$HOME/x", "merges": ["$ t", "$ (a", "$("]}"#,
        r#"{"__class__": "RandomForestClassifier", "__module__": "sklearn.ensemble._forest", "__loader__": "ObjectNode"}"#,
        r#"{"module": "keras.layers", "class_name": "Dense", "config": {}}"#,
        r#"{"description": "calls os.system() to (never) do things, see subprocess. Use eval(x)!"}"#,
        r#"{"a": 1, "a": 2}"#,
        r#"{"prompt": "Hello {{ name }}, {% if x %}y{% endif %}", "go": "{{ .Prompt }} {{- range .Messages }}x{{ end }}"}"#,
    ] {
        let part = judged(json);
        assert_eq!(part.verdict(), Verdict::Clean, "{json}: {:?} {:?}", part.findings, part.unread);
    }
}
