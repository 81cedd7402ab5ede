"""Writes a llama of 2 layers with random weights (seeded) and a vocabulary of bytes, for tests against a real server."""
import sys
import gguf
import numpy as np

def main(path):
    """Writes the model to `path`; the same bytes every time."""
    rng = np.random.default_rng(7)
    width, layers, heads, hidden = 64, 2, 4, 128
    tokens = [b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % n for n in range(256)]
    kinds = [2, 3, 3] + [6] * 256
    words = ["▁", "a", "e", "i", "o", "n", "t", "s", "r", "▁the", "▁a", "▁patient", "▁is", "▁well"]
    tokens += [w.encode() for w in words]
    kinds += [1] * len(words)
    vocab = len(tokens)
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("tiny"); w.add_context_length(2048); w.add_embedding_length(width); w.add_block_count(layers)
    w.add_feed_forward_length(hidden); w.add_head_count(heads); w.add_head_count_kv(heads)
    w.add_layer_norm_rms_eps(1e-5); w.add_rope_dimension_count(width // heads); w.add_vocab_size(vocab)
    w.add_file_type(gguf.LlamaFileType.ALL_F32)
    w.add_tokenizer_model("llama"); w.add_token_list(tokens); w.add_token_scores([-float(n) for n in range(vocab)])
    w.add_token_types(kinds); w.add_bos_token_id(1); w.add_eos_token_id(2); w.add_unk_token_id(0)
    w.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: ")
    t = lambda *shape: rng.normal(0, 0.08, shape).astype(np.float32)
    w.add_tensor("token_embd.weight", t(vocab, width)); w.add_tensor("output.weight", t(vocab, width))
    w.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for n in range(layers):
        for name in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"blk.{n}.{name}.weight", np.ones(width, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            w.add_tensor(f"blk.{n}.{name}.weight", t(width, width))
        w.add_tensor(f"blk.{n}.ffn_gate.weight", t(hidden, width)); w.add_tensor(f"blk.{n}.ffn_up.weight", t(hidden, width))
        w.add_tensor(f"blk.{n}.ffn_down.weight", t(width, hidden))
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()

if __name__ == "__main__":
    main(sys.argv[1])
