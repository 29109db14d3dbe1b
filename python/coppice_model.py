"""A Coppice checkpoint as a PyTorch module, with its vocabulary and its measures.

    import coppice_model
    checkpoint = coppice_model.load("question.safetensors")
    checkpoint.model(checkpoint.vocabulary.batch(["my yak does eat . quest"])[0])    # logits
    coppice_model.evaluate(checkpoint, val="question.val", gen="question.gen")       # val_loss, id_accuracy, gen_accuracy

One file, to copy where it is needed; it needs torch (1.13 or later) and nothing else. As a program it prints the measures:

    python3 coppice_model.py question.safetensors --val question.val --gen question.gen

`coppice-trainer data` writes the splits as files; docs/python.md has an example from end to end.
"""

import argparse
import json
import math

import torch

PAD = 0


class Vocabulary:
    """Word <-> id. Id 0 is <pad>, then the words in sorted order, then <eos> and <sos>."""

    def __init__(self, words):
        self.words = list(words)
        self.ids = {word: number for number, word in enumerate(self.words)}
        self.eos = len(self.words) - 2
        self.sos = len(self.words) - 1

    def __len__(self):
        return len(self.words)

    def encode(self, text):
        """The ids of words that single spaces divide. KeyError: a word that the model does not know."""
        return [self.ids[word] for word in text.split()]

    def decode(self, ids):
        return " ".join(self.words[int(number)] for number in ids)

    def batch(self, texts):
        """[B, T] inputs (<sos>, then the words) and [B, T] targets (the words, then <eos>), padded with 0."""
        sentences = [self.encode(text) if isinstance(text, str) else list(text) for text in texts]
        length = max(len(sentence) for sentence in sentences) + 1
        inputs = torch.full((len(sentences), length), PAD, dtype=torch.long)
        targets = torch.full((len(sentences), length), PAD, dtype=torch.long)
        for row, sentence in enumerate(sentences):
            inputs[row, :len(sentence) + 1] = torch.tensor([self.sos] + sentence)
            targets[row, :len(sentence) + 1] = torch.tensor(sentence + [self.eos])
        return inputs, targets


class SelfAttention(torch.nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.data_to_q = torch.nn.Linear(d_model, d_model, bias=False)
        # Rows: head after head, d_head of the key, then d_head of the value.
        self.data_to_kv = torch.nn.Linear(d_model, 2 * d_model, bias=False)
        self.multi_head_merge = torch.nn.Linear(d_model, d_model, bias=False)

    def forward(self, x, return_weights=False):
        batch, rows, d_model = x.shape
        d_head = d_model // self.heads
        q = self.data_to_q(x).view(batch, rows, self.heads, d_head)
        k, v = self.data_to_kv(x).view(batch, rows, self.heads, 2, d_head).unbind(3)
        scores = torch.einsum("brhd,bchd->bhrc", q, k) / math.sqrt(d_head)
        hidden = torch.ones(rows, rows, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
        mixed = torch.einsum("bhrc,bchd->brhd", weights, v).reshape(batch, rows, d_model)
        merged = self.multi_head_merge(mixed)
        return (merged, weights) if return_weights else merged


class Layer(torch.nn.Module):
    def __init__(self, d_model, heads, d_ff, dropout):
        super().__init__()
        self.self_attn = SelfAttention(d_model, heads)
        self.linear1 = torch.nn.Linear(d_model, d_ff)
        self.linear2 = torch.nn.Linear(d_ff, d_model)
        self.norm1 = torch.nn.LayerNorm(d_model)
        self.norm2 = torch.nn.LayerNorm(d_model)
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, x):
        x = self.norm1(x + self.dropout(self.self_attn(x)))
        hidden = self.dropout(torch.relu(self.linear1(x)))
        return self.norm2(x + self.dropout(self.linear2(hidden)))


class LanguageModel(torch.nn.Module):
    """The decoder-only transformer. In eval mode, as `load` returns it, there is no dropout. (In train mode there is, but not on
    attention weights, and its random numbers are not the trainer's.)"""

    def __init__(self, vocabulary_size, d_model, heads, d_ff, depth, dropout=0.1):
        super().__init__()
        self.d_model = d_model
        self.input_embedding = torch.nn.Embedding(vocabulary_size, d_model)
        self.trafo = torch.nn.Module()
        self.trafo.encoder = torch.nn.Module()
        self.trafo.encoder.layers = torch.nn.ModuleList(Layer(d_model, heads, d_ff, dropout) for _ in range(depth))
        self.output_map = torch.nn.Linear(d_model, vocabulary_size)
        self.dropout = torch.nn.Dropout(dropout)

    def positions(self, length, like):
        frequencies = torch.exp(torch.arange(0, self.d_model, 2, dtype=torch.float32) * (-math.log(10000.0) / self.d_model))
        angles = torch.arange(length, dtype=torch.float32)[:, None] * frequencies
        return torch.stack([angles.sin(), angles.cos()], 2).view(length, self.d_model).to(like)

    def states(self, inputs):
        """[B, T] ids -> the states after the embedding and after each layer, depth + 1 tensors [B, T, d_model]."""
        x = self.input_embedding(inputs) * math.sqrt(self.d_model)
        x = self.dropout(x + self.positions(inputs.shape[1], x))
        states = [x]
        for layer in self.trafo.encoder.layers:
            states.append(layer(states[-1]))
        return states

    def forward(self, inputs):
        """[B, T] ids, <sos> first -> [B, T, vocabulary] logits; those at position t are of the word after it."""
        return self.output_map(self.states(inputs)[-1])


class Checkpoint:
    """`model`, `vocabulary`, `run` (its settings, as a dict), `seed`, `step`."""

    def __init__(self, model, vocabulary, run, seed, step):
        self.model, self.vocabulary, self.run, self.seed, self.step = model, vocabulary, run, seed, step


def read_safetensors(path):
    """The tensors by name, and the metadata. Its digest is not checked; `coppice checkpoint verify` does that."""
    types = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = types[entry["dtype"]]
        tensors[name] = torch.frombuffer(data[begin:end], dtype=dtype).reshape(entry["shape"])
    return tensors, metadata


def load(path, device="cpu"):
    """A checkpoint's model, ready to read (eval mode)."""
    tensors, metadata = read_safetensors(path)
    if metadata.get("format") != "coppice-checkpoint":
        raise ValueError(f"{path} is no Coppice checkpoint")
    if "vocabulary" not in metadata:
        raise ValueError(f"{path} was written before checkpoints held their vocabulary; resume its run for a step with a newer trainer")
    run = json.loads(metadata["run"])
    vocabulary = Vocabulary(json.loads(metadata["vocabulary"]))
    settings = run["model"]
    model = LanguageModel(len(vocabulary), settings["d_model"], settings["heads"], settings["d_ff"], run["depth"], settings["dropout"])
    model.load_state_dict({name[len("model."):]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    return Checkpoint(model.to(device).eval(), vocabulary, run, int(metadata["seed"]), int(metadata["step"]))


# ---- the trainer's measures

class Example:
    def __init__(self, tokens, prefix):
        self.tokens = tokens    # input, task word, output
        self.prefix = prefix    # words up to and with the task word; 0 for dyck


def read_split(path, vocabulary, task):
    """The examples of a file such as `coppice-trainer data` writes."""
    examples = []
    with open(path) as file:
        for line in file.read().rstrip().split("\n"):
            if task == "dyck":
                examples.append(Example(vocabulary.encode(line.rstrip()[:-len(" END")]), 0))
            else:
                source, target = line.rstrip().split("\t")
                source = vocabulary.encode(source)
                examples.append(Example(source + vocabulary.encode(target), len(source)))
    return examples


def batches(items, length, rows=4096):
    """Items of like length together, about `rows` words in each batch."""
    batch = []
    for item in sorted(items, key=length):
        if batch and (len(batch) + 1) * (length(item) + 1) > rows:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


@torch.no_grad()
def mean_loss(checkpoint, examples):
    """Cross-entropy of a word or <eos>, mean over all of them: `val_loss` for the examples of val."""
    device = next(checkpoint.model.parameters()).device
    total, count = 0.0, 0
    for batch in batches(examples, lambda example: len(example.tokens)):
        inputs, targets = checkpoint.vocabulary.batch([example.tokens for example in batch])
        logits = checkpoint.model(inputs.to(device))
        total += torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.to(device).flatten(), ignore_index=PAD,
                                                   reduction="sum").item()
        count += int((targets != PAD).sum())
    return total / count


@torch.no_grad()
def choice_accuracy(checkpoint, examples, candidates, items):
    """The share of (example, position) at which the most probable of the candidates is the word that stands there."""
    device = next(checkpoint.model.parameters()).device
    candidates = torch.tensor(candidates, device=device)
    right = 0
    for batch in batches(items, lambda item: item[1]):
        inputs, _ = checkpoint.vocabulary.batch([examples[number].tokens[:position] for number, position in batch])
        logits = checkpoint.model(inputs.to(device))
        at = torch.tensor([position for _, position in batch], device=device)
        best = candidates[logits[torch.arange(len(batch), device=device), at][:, candidates].argmax(1)]
        right += sum(int(word) == examples[number].tokens[position] for word, (number, position) in zip(best, batch))
    return right / len(items)


DETERMINERS = "the some my your our her".split()
PREPOSITIONS = "around near with upon by behind above below".split()
RELATIVES = "who that".split()
NOUNS = ("newt orangutan peacock quail raven salamander tyrannosaurus unicorn vulture walrus xylophone yak zebra newts orangutans "
         "peacocks quails ravens salamanders tyrannosauruses unicorns vultures walruses xylophones yaks zebras").split()
INTRANSITIVE_PAST = "giggled smiled slept swam waited moved changed read ate".split()


def part_of_speech(word):
    for name, words in (("determiner", DETERMINERS), ("noun", NOUNS), ("preposition", PREPOSITIONS), ("relative", RELATIVES),
                        ("task word", ["PAST", "PRESENT"]), (".", ["."]), ("<eos>", ["<eos>"]), ("<sos>", ["<sos>"]), ("<pad>", ["<pad>"])):
        if word in words:
            return name
    return "verb"


def main_verb(words):
    """The place of the main verb in a sentence of the tense task, from 0."""
    if words[2] in PREPOSITIONS:
        return 5
    if words[2] not in RELATIVES:
        return 2
    return 4 if words[3] in INTRANSITIVE_PAST else 6


@torch.no_grad()
def decoding_accuracy(checkpoint, examples):
    """tense: the share of examples whose output, decoded greedily, has the target's parts of speech and its main verb."""
    vocabulary = checkpoint.vocabulary
    device = next(checkpoint.model.parameters()).device
    classes = [part_of_speech(word) for word in vocabulary.words]
    right = 0
    for batch in batches(examples, lambda example: example.prefix, rows=2048):
        for prefix in sorted({example.prefix for example in batch}):
            group = [example for example in batch if example.prefix == prefix]
            length = max(len(example.tokens) for example in group) - prefix + 1
            read = torch.tensor([[vocabulary.sos] + example.tokens[:prefix] for example in group], device=device)
            for _ in range(length):
                read = torch.cat([read, checkpoint.model(read)[:, -1].argmax(1, keepdim=True)], 1)
            for example, row in zip(group, read[:, prefix + 1:].tolist()):
                wanted = example.tokens[prefix:] + [vocabulary.eos]
                verb = main_verb([vocabulary.words[token] for token in example.tokens])
                right += ([classes[token] for token in row[:len(wanted)]] == [classes[token] for token in wanted]
                          and row[verb] == wanted[verb])
    return right / len(examples)


def philox(counter, key):
    """Philox4x32-10: four random words of 32 bits."""
    word = 0xFFFFFFFF
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & word, (a >> 32) ^ c[3] ^ k[1], a & word]
        k = [(k[0] + 0x9E3779B9) & word, (k[1] + 0xBB67AE85) & word]
    return c


def sample(population, count, seed, stream):
    """The numbers that the trainer draws: `count` of 0 .. population-1, ascending; all when there are no more."""
    if count >= population:
        return list(range(population))
    key = (seed & 0xFFFFFFFF, seed >> 32)

    def words():
        position = 0
        while True:
            yield from philox((position & 0xFFFFFFFF, position >> 32, stream & 0xFFFFFFFF, stream >> 32), key)
            position += 1

    source = words()

    def below(n):
        product = next(source) * n
        threshold = (2**32 - n) % n
        while (product & 0xFFFFFFFF) < threshold:
            product = next(source) * n
        return product >> 32

    numbers = list(range(population))
    for i in range(count):
        j = i + below(population - i)
        numbers[i], numbers[j] = numbers[j], numbers[i]
    return sorted(numbers[:count])


def accuracy(checkpoint, examples, split):
    """What the trainer reports as id_accuracy (split "val") and gen_accuracy (split "gen")."""
    vocabulary, run = checkpoint.vocabulary, checkpoint.run
    if run["task"] == "question":
        candidates = vocabulary.encode("do does don't doesn't")
        quest = vocabulary.ids["quest"]
        items = [(number, example.prefix) for number, example in enumerate(examples) if example.tokens[example.prefix - 1] == quest]
        return choice_accuracy(checkpoint, examples, candidates, items)
    if run["task"] == "tense":
        stream = (1 << 16) | (1 << 8) | {"val": 1, "test": 2, "gen": 3}[split]
        chosen = sample(len(examples), run["report"]["decode_sentences"], run["data"]["seed"], stream)
        return decoding_accuracy(checkpoint, [examples[number] for number in chosen])
    closing = [number for number, word in enumerate(vocabulary.words) if len(word) == 2 and word.endswith(")")]
    items = [(number, position) for number, example in enumerate(examples) for position, token in enumerate(example.tokens)
             if token in set(closing)]
    return choice_accuracy(checkpoint, examples, closing, items[:run["report"]["dyck_prefixes"]])


def evaluate(checkpoint, val=None, gen=None):
    """The measures of a report row, from the files of the splits (or lists of Example)."""
    task = checkpoint.run["task"]

    def examples(split):
        return read_split(split, checkpoint.vocabulary, task) if isinstance(split, str) else split

    values = {}
    if val is not None:
        val = examples(val)
        values["val_loss"] = mean_loss(checkpoint, val)
        values["id_accuracy"] = accuracy(checkpoint, val, "val")
    if gen is not None:
        values["gen_accuracy"] = accuracy(checkpoint, examples(gen), "gen")
    return values


def main():
    parser = argparse.ArgumentParser(description="The measures of a Coppice checkpoint, computed in PyTorch.")
    parser.add_argument("checkpoint")
    parser.add_argument("--val", help="a file as `coppice-trainer data --split val` writes it")
    parser.add_argument("--gen", help="the same for the generalization set")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    checkpoint = load(options.checkpoint, options.device)
    print(json.dumps({"task": checkpoint.run["task"], "seed": checkpoint.seed, "step": checkpoint.step,
                      **evaluate(checkpoint, options.val, options.gen)}))


if __name__ == "__main__":
    main()
