"""Decodes a model folder that `nestquant quantize` wrote; needs numpy only. FORMAT.md explains every step.

    python3 read_nestquant.py DIR OUT.safetensors [--rotated]

writes all weights as float32 under their HuggingFace names: an ordinary checkpoint, equal in function to the
quantised model. With --rotated, coded matrices stay rotated, bit for bit what the library multiplies by.
"""
import glob, json, math, os, re, struct, sys
import numpy as np
LATTICE = {"E8_16": (4, False), "D8_16": (4, True), "E8_8": (3, False), "D8_8": (3, True)}
TYPES = {"F32": "<f4", "I32": "<u4", "U8": "u1"}
def tensors(folder):
    result = {}
    for path in sorted(glob.glob(os.path.join(folder, "model*.safetensors"))):
        with open(path, "rb") as f:
            length, = struct.unpack("<Q", f.read(8))
            header = json.loads(f.read(length))
        for name, t in header.items():
            if name != "__metadata__":
                at = 8 + length + t["data_offsets"][0]
                result[name] = np.memmap(path, TYPES[t["dtype"]], "r", at, tuple(t["shape"]))
    return result
def words_of(stored, width, blocks):
    if width == 4:
        return stored
    v = stored.reshape(len(stored), -1, 3, 16)
    w = (v & 0x07070707) | ((v >> 3) & 0x07070707) << 4
    low = (v[:, :, 0] >> 6) & 0x03030303 | (v[:, :, 2] >> 4) & 0x04040404
    high = (v[:, :, 1] >> 6) & 0x03030303 | (v[:, :, 2] >> 5) & 0x04040404
    w = np.concatenate([w, (low | high << 4)[:, :, None]], axis=2).reshape(len(stored), -1, 16)
    return w[:, :blocks]
def leaders(words, width, dual):
    q, parity_bit = 1 << width, 8 + width - 1
    parity = (words >> parity_bit) & 1
    lowest = words & (0x01111111 if dual else 0x11111111)
    odd = np.bitwise_xor.reduce([(lowest >> (4 * i)) & 1 for i in range(8)])
    clear = words & np.uint32(~(1 << parity_bit) & 0xFFFFFFFF)
    nibbles = (clear & np.uint32(0xEFFFFFFF)) | odd << 28 if dual else clear ^ odd << 28
    bits = [8 * (i & 3) + 4 * (i >> 2) for i in range(8)]
    a = np.stack([(nibbles >> b) & (q - 1) for b in bits], -1).astype(np.int32)
    y = 2 * (a - q * (a >= q // 2)) + parity[..., None].astype(np.int32)
    size = np.abs(y)
    total = size.sum(-1)
    if dual:
        far, move = total > 4 * q, np.zeros(total.shape, bool)
    else:
        b = odd.astype(np.int32)
        f = (y < 0).sum(-1) % 2 ^ b
        far = total - 4 * q + b * 2 * (q - size.max(-1)) - f * 2 * size.min(-1) > 0
        move = np.where(far, f, b) == 1
    y = y - far[..., None] * q * np.where(y < 0, -1, 1)
    largest = np.abs(y).argmax(-1)[..., None]
    top = np.take_along_axis(y, largest, -1)
    np.put_along_axis(y, largest, top - move[..., None] * 2 * q * np.where(top < 0, -1, 1), -1)
    return y
def linear(t, name, config):
    width, dual = LATTICE[config.get("codes", {}).get(name, config["code"])]
    betas, exponents = t[name + ".betas"], t[name + ".row_scales"]
    words = words_of(t[name + ".words"], width, betas.shape[1])
    index = (betas[:, :, None] >> (2 * np.arange(16, dtype=np.uint32))) & 3
    if dual:
        index |= ((words >> 28) & 1) << 2
    steps = np.array(config["ladder"])[index]
    q = (leaders(words, width, dual) * steps[..., None]).astype(np.int8)
    rows = q.transpose(0, 2, 1, 3).reshape(-1, 8 * betas.shape[1])[: len(exponents)]
    powers = np.array([2.0 ** (-e / 12) for e in range(256)]).astype(np.float32)
    return rows.astype(np.float32) * (t[name + ".tensor_scale"][0] * powers[exponents])[:, None]
def int8(t, name):
    words, scales = t[name + ".words"], t[name + ".row_scales"]
    q = np.ascontiguousarray(words.transpose(0, 2, 1)).view(np.int8)
    return q.reshape(-1, 4 * words.shape[1])[: len(scales)].astype(np.float32) * scales[:, None]
def splitmix(seed):
    mask = (1 << 64) - 1
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        yield z ^ z >> 31
def circulant(taps):
    return np.array([np.roll(taps, i) for i in range(len(taps))])
def matrix(kind, m, stream):
    if kind == "random circulant":
        taps = np.full(m, -1.0 if next(stream) >> 63 else 1.0)
        for f in range(1, m // 2 + 1):
            phase = 2 * math.pi * (next(stream) >> 11) * 2.0**-53
            taps += 2 * np.cos(2 * math.pi * (f * np.arange(m) % m) / m + phase)
        return circulant((taps / m).astype(np.float32))
    if kind == "Williamson":
        p, g, *masks = {92: (23, 22, 339, 412, 43, 1819), 116: (29, 28, 1723, 2833, 755, 12454),
                        172: (43, 7, 26, 35, 21, 83)}[m]
        classes = []
        for s in range(1, p):
            if not any(s in c for c in classes):
                classes.append({s * g**k % p for k in range(p)})
        a, b, c, d = (circulant(np.array([1] + [-1 if k >> next(i for i, s in enumerate(classes) if e in s) & 1 else 1
                                                for e in range(1, p)])) for k in masks)
        return np.block([[a, b, c, d], [-b, a, -d, c], [-c, d, a, -b], [-d, -c, b, a]])
    p = (m if kind == "Paley I" else m // 2) - 1
    q = circulant(np.array([0] + [1 if pow(i, p // 2, p) == 1 else -1 for i in range(1, p)]))
    one = np.ones((1, p))
    if kind == "Paley I":
        return np.block([[np.ones((1, 1)), one], [-one.T, q + np.eye(p)]])
    s = np.block([[np.zeros((1, 1)), one], [one.T, q]])
    return np.kron(s, [[1, 1], [1, -1]]) + np.kron(np.eye(p + 1), [[1, -1], [-1, -1]])
def unrotate(rows, columns, config):
    text = next(t for t in config["rotations"] if t.split()[0] == str(columns))
    if text.endswith("identity"):
        return rows[:, :columns]
    n = int(re.search(r"(\d+) =", text)[1])
    split = [(kind, int(m)) for m, kind in re.findall(r"(\d+) \(([^)]+)\)", text)]
    stream = splitmix(config["rotation_seeds"]["linear"])
    signs = [next(stream) for _ in range((n + 63) // 64)]
    sign = np.array([-1.0 if signs[i // 64] >> i % 64 & 1 else 1.0 for i in range(n)])
    x, inner, h = rows.astype(np.float64), n, 1
    for kind, m in split:
        inner //= m
        x = np.einsum("ij,...ik->...jk", matrix(kind, m, stream), x.reshape(-1, m, inner)).reshape(len(rows), n)
    while h < inner:
        x = x.reshape(-1, 2, h)
        x = np.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], 1).reshape(len(rows), n)
        h *= 2
    return (x * sign / math.sqrt(n // math.prod(m for kind, m in split if kind == "random circulant")))[:, :columns].astype(np.float32)
def decode(folder, rotated=False):
    model = json.load(open(os.path.join(folder, "config.json")))
    config = model["quantization_config"]
    assert config["quant_method"] == "nestquant" and config["format_version"] in (1, 2), config
    t, result = tensors(folder), {}
    heads = model.get("head_dim") or model["hidden_size"] // model["num_attention_heads"]
    inputs = {"down_proj": model["intermediate_size"], "o_proj": model["num_attention_heads"] * heads}
    for name, array in t.items():
        base, part = name.rsplit(".", 1)
        if part == "words":
            rows = linear(t, base, config) if base + ".tensor_scale" in t else int8(t, base)
            columns = inputs.get(base.rsplit(".", 1)[-1], model["hidden_size"])
            result[base + ".weight"] = rows if rotated else unrotate(rows, columns, config)
        elif part not in ("betas", "row_scales", "tensor_scale"):
            result[name] = np.asarray(array)
    return result
def main(folder, out, *options):
    weights = decode(folder, "--rotated" in options)
    ends = np.cumsum([w.nbytes for w in weights.values()]).tolist()
    header = {name: {"dtype": "F32", "shape": list(w.shape), "data_offsets": [end - w.nbytes, end]}
              for (name, w), end in zip(weights.items(), ends)}
    text = json.dumps(header).encode()
    with open(out, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for w in weights.values():
            f.write(np.ascontiguousarray(w, "<f4").tobytes())
if __name__ == "__main__":
    main(*sys.argv[1:])
