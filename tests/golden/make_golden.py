#!/usr/bin/env python3
"""Makes and checks the golden files of the language model (`*_lm.json`), in plain float64 PyTorch.

    make_golden.py --all [--out DIR]           writes every file of CASES (the committed ones) into DIR, default: beside this script
    make_golden.py --case NAME [--out DIR]     writes NAME_lm.json
    make_golden.py --check FILE... [--tolerance 1e-11]
                                               recomputes FILE from its `params` and inputs, prints the largest absolute difference
                                               of every key, and exits with 1 where one is above the tolerance or a parse differs
    make_golden.py --name N --d-model D --n-heads H --d-ff F --n-layers L --seed S --batch 5,7,6 --sentences 5,7,1 [...]
                                               writes N_lm.json for a configuration of your own (--help lists the rest)

It was written from the description of the study, not from any other implementation, and it favours the obvious way over
the fast one: stock autograd, torch.optim.AdamW, one masked forward pass for every span of the tree-projection chart. It
reproduces tiny_lm.json, which the authors' released code wrote, so the definitions below are what that code computes.


The file
--------
config             n_input_tokens V (word ids 0..V-1, 0 is padding), eos_id = V, sos_id = V + 1, so V + 2 rows in the embedding and in the
                   output layer; d_model, n_heads, d_ff, n_layers.
params             name -> {shape, data}, row-major. Linear weights are [out, in]. data_to_kv.weight has 2 * d_model rows laid out as
                   [head, (k, v), d_head]: rows h*2*d_head .. +d_head are the keys of head h, the next d_head its values.
                   data_to_q.weight has rows [head, d_head]; multi_head_merge.weight has columns [head, d_head].
batch              sequences (without SOS and EOS), and for them, with dropout off: logits, loss, grad_norm, grads.
attention_entropy_propagated, attention_entropy_published_code, weight_norm
tree_projections   per sentence: tokens, sci_chart, greedy_parse, greedy_score, expected_normalized_score.
adamw              settings, losses_before_each_step, params_after.


The definitions
---------------
Model.  A sequence w1..wn is fed as SOS w1..wn (no EOS), n + 1 rows, positions from 0 (SOS is position 0).
  x0 = embedding[token] * sqrt(d_model) + PE[position]
  PE[p, 2c] = sin(p * f_c), PE[p, 2c+1] = cos(p * f_c), f_c = exp(2c * (-ln(10000) / d_model)); table computed in float32 (every
  operation), then widened to float64. A table computed in float64 differs by up to 3e-7 in the first 20 positions, one
  made with another library's float32 exp, sin and cos by the last bit (6e-8); PyTorch's are not correctly rounded.
  Every layer:  x = LN1(x + merge(attention(x)));  x = LN2(x + W2 relu(W1 x + b1) + b2)   (post-LN, no final norm)
  LN: biased variance, eps 1e-5 inside the root. Attention: scores q.k / sqrt(d_head), causal (row r sees rows 0..r).
  logits = x W_out^T + b_out.  The output layer is not tied to the embedding.
logits  [batch, longest + 1, V + 2]; rows past a sequence's n + 1 are all zero (they may be -0.0 in tiny_lm.json).
loss    Targets of SOS w1..wn are w1..wn EOS. The mean of the cross entropies (natural log) over all n + 1 real rows of all
        sequences of the batch together: sum over rows / number of rows, not a mean of means.
grads   of that loss, before clipping. grad_norm: L2 norm of all of them together, before clipping.
adamw   `steps` steps on the same batch: gradients multiplied by min(1, max_grad_norm / (grad_norm + 1e-6)), then AdamW with bias
        correction, p *= 1 - lr * weight_decay; p -= lr * mhat / (sqrt(vhat) + eps), for all parameters alike (biases and
        norms decay too). lr is constant. losses_before_each_step[s] is the loss before step s (the first is batch.loss).
weight_norm  L2 norm of all parameters together, before the steps; not divided by depth.

attention_entropy_propagated.  For every sequence and layer: the mean over heads of the attention matrices, one matrix
  [n+1, n+1]; the entropy (natural log) of each of its rows over the row's visible columns; the SUM over the n + 1 rows.
  SOS's row counts (its entropy is 0) and SOS is a visible column; there is no EOS row, and rows of padding do not count.
  Then the MEAN over layers, then the MEAN over sequences. It is positive; attention_sparsity is minus this.
attention_entropy_published_code.  The same, but the attention of EVERY layer is computed with that layer's own q and k
  weights applied to x0 (the scaled embeddings with positions), not to the output of the layer below.

sci_chart.  A list of [i, j, value], 0 <= i <= j < n in lexicographic order, words numbered from 0, both ends inclusive. SOS is
  row 0 of the model, so word i is row i + 1. Let h be the final layer's rows (after LN2) for SOS w1..wn, and h^ij the
  same when the words attend only to SOS and to words i..j (still causally, positions unchanged). Then
  value = cosine(sum_{i<=t<=j} h[t], sum_{i<=t<=j} h^ij[t]); sums over the words of the span alone, without SOS. No
  mean is involved (the cosine does not care). Hence chart(0, j) = 1 up to rounding.
greedy_parse.  Top-down from (0, n-1): a span of one word is the leaf "w<token id>"; else split at the first k in i..j-1
  that maximizes chart(i, k) + chart(k+1, j), giving [left, right]. One-word sentences parse to a bare leaf.
greedy_score.  The sum over the n - 1 splits made of the maximum itself, chart(i, k*) + chart(k*+1, j). Nothing is
  subtracted and nothing is averaged. 0 for one word.
expected_normalized_score.  The sum over the same splits of [maximum - mean over k in i..j-1 of chart(i, k) + chart(k+1, j)].
  A two-word span has one split point and adds 0. Not divided by the number of words or splits. 0 for one or two words.
  (The released code subtracts one random split point's value each time; this is its expectation.)
"""
import argparse
import json
import math
import os
import sys

import torch

FLOAT = torch.float64
PAD = 0


# ---------------------------------------------------------------------------------------------------------------------
# The model


def layer_name(layer):
    return f'trafo.encoder.layers.{layer}.'


def parameter_shapes(config):
    tokens, d, ff = config['n_input_tokens'] + 2, config['d_model'], config['d_ff']
    shapes = {'input_embedding.weight': [tokens, d], 'output_map.weight': [tokens, d], 'output_map.bias': [tokens]}
    for layer in range(config['n_layers']):
        for name, shape in (('self_attn.multi_head_merge.weight', [d, d]), ('self_attn.data_to_kv.weight', [2 * d, d]),
                            ('self_attn.data_to_q.weight', [d, d]), ('linear1.weight', [ff, d]), ('linear1.bias', [ff]),
                            ('linear2.weight', [d, ff]), ('linear2.bias', [d]), ('norm1.weight', [d]), ('norm1.bias', [d]),
                            ('norm2.weight', [d]), ('norm2.bias', [d])):
            shapes[layer_name(layer) + name] = shape
    return shapes


def sinusoidal_positions(length, d_model):
    """[length, d_model], computed in float32 as the released code does, returned as float64."""
    position = torch.arange(0, length, dtype=torch.float32).unsqueeze(1)
    frequency = torch.exp(torch.arange(0, d_model, 2, dtype=torch.float32) * (-math.log(10000.0) / d_model))
    table = torch.zeros(length, d_model, dtype=torch.float32)
    table[:, 0::2] = torch.sin(position * frequency)
    table[:, 1::2] = torch.cos(position * frequency)
    return table.to(FLOAT)


def embed(config, params, tokens):
    d_model = config['d_model']
    return params['input_embedding.weight'][tokens] * math.sqrt(d_model) + sinusoidal_positions(tokens.shape[1], d_model)


def attention_weights(config, params, layer, x, visible):
    """[batch, head, row, column]; `visible` is a boolean [row, column], and every row must see something."""
    batch, rows, d_model = x.shape
    heads = config['n_heads']
    d_head = d_model // heads
    prefix = layer_name(layer) + 'self_attn.'
    q = (x @ params[prefix + 'data_to_q.weight'].T).reshape(batch, rows, heads, d_head)
    kv = (x @ params[prefix + 'data_to_kv.weight'].T).reshape(batch, rows, heads, 2, d_head)
    scores = torch.einsum('brhd,bchd->bhrc', q, kv[:, :, :, 0]) / math.sqrt(d_head)
    return torch.softmax(scores.masked_fill(~visible, -math.inf), dim=-1)


def self_attention(config, params, layer, x, visible):
    batch, rows, d_model = x.shape
    heads = config['n_heads']
    prefix = layer_name(layer) + 'self_attn.'
    weights = attention_weights(config, params, layer, x, visible)
    kv = (x @ params[prefix + 'data_to_kv.weight'].T).reshape(batch, rows, heads, 2, d_model // heads)
    mixed = torch.einsum('bhrc,bchd->brhd', weights, kv[:, :, :, 1]).reshape(batch, rows, d_model)
    return mixed @ params[prefix + 'multi_head_merge.weight'].T, weights


def layer_norm(params, name, x):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], params[name + '.weight'], params[name + '.bias'], eps=1e-5)


def encode(config, params, tokens, visible=None):
    """The final layer's states [batch, row, d_model], and every layer's attention weights."""
    if visible is None:
        visible = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()
    x = embed(config, params, tokens)
    all_weights = []
    for layer in range(config['n_layers']):
        prefix = layer_name(layer)
        attended, weights = self_attention(config, params, layer, x, visible)
        all_weights.append(weights)
        x = layer_norm(params, prefix + 'norm1', x + attended)
        hidden = torch.relu(x @ params[prefix + 'linear1.weight'].T + params[prefix + 'linear1.bias'])
        x = layer_norm(params, prefix + 'norm2', x + hidden @ params[prefix + 'linear2.weight'].T + params[prefix + 'linear2.bias'])
    return x, all_weights


def pad_batch(config, sequences):
    """SOS w1..wn <pad>.., its targets w1..wn EOS <pad>.., and which rows are real. Padding follows the words, so the
    causal mask alone keeps it away from every real row."""
    rows = max(len(s) for s in sequences) + 1
    inputs = torch.tensor([[config['sos_id']] + s + [PAD] * (rows - 1 - len(s)) for s in sequences])
    targets = torch.tensor([s + [config['eos_id']] + [PAD] * (rows - 1 - len(s)) for s in sequences])
    real = torch.arange(rows) < torch.tensor([len(s) + 1 for s in sequences]).unsqueeze(1)
    return inputs, targets, real


def logits_and_loss(config, params, sequences):
    inputs, targets, real = pad_batch(config, sequences)
    states, _ = encode(config, params, inputs)
    logits = states @ params['output_map.weight'].T + params['output_map.bias']
    loss = torch.nn.functional.cross_entropy(logits[real], targets[real], reduction='mean')
    return logits.masked_fill(~real.unsqueeze(-1), 0.0), loss


def total_norm(tensors):
    return math.sqrt(sum(float((t ** 2).sum()) for t in tensors))


# ---------------------------------------------------------------------------------------------------------------------
# The measures (defined at the top of this file)


def attention_entropy(config, params, sequences, propagated):
    totals = []
    for sequence in sequences:  # one by one: no padding to think about
        inputs, _, _ = pad_batch(config, [sequence])
        if propagated:
            _, all_weights = encode(config, params, inputs)
        else:
            causal = torch.ones(inputs.shape[1], inputs.shape[1], dtype=torch.bool).tril()
            x0 = embed(config, params, inputs)
            all_weights = [attention_weights(config, params, layer, x0, causal) for layer in range(config['n_layers'])]
        per_layer = []
        for weights in all_weights:
            mean = weights[0].mean(dim=0)
            per_layer.append(-torch.xlogy(mean, mean).sum())  # all rows; an invisible column is 0 and adds 0
        totals.append(torch.stack(per_layer).mean())
    return float(torch.stack(totals).mean())


def sci_chart(config, params, tokens):
    n = len(tokens)
    inputs = torch.tensor([[config['sos_id']] + tokens])
    in_context = encode(config, params, inputs)[0][0]
    causal = torch.ones(n + 1, n + 1, dtype=torch.bool).tril()
    chart = []
    for i in range(n):
        for j in range(i, n):
            allowed = torch.zeros(n + 1, dtype=torch.bool)
            allowed[0] = True  # SOS
            allowed[i + 1:j + 2] = True
            alone = encode(config, params, inputs, causal & allowed)[0][0]
            a, b = in_context[i + 1:j + 2].sum(dim=0), alone[i + 1:j + 2].sum(dim=0)
            chart.append([i, j, float(a @ b / (a.norm() * b.norm()))])
    return chart


def greedy_parse(tokens, chart):
    """(parse, greedy_score, expected_normalized_score, margin). The margin is how far the best split was ahead of the next
    at the closest decision: an implementation whose chart is off by less than a quarter of it finds the same parse."""
    value = {(i, j): v for i, j, v in chart}
    totals = {'score': 0.0, 'normalized': 0.0, 'margin': math.inf}

    def parse(i, j):
        if i == j:
            return f'w{tokens[i]}'
        candidates = [value[i, k] + value[k + 1, j] for k in range(i, j)]
        best = max(candidates)
        k = i + candidates.index(best)  # the first maximum
        totals['score'] += best
        totals['normalized'] += best - sum(candidates) / len(candidates)
        if len(candidates) > 1:
            totals['margin'] = min(totals['margin'], best - sorted(candidates)[-2])
        return [parse(i, k), parse(k + 1, j)]

    tree = parse(0, len(tokens) - 1)
    return tree, totals['score'], totals['normalized'], totals['margin']


# ---------------------------------------------------------------------------------------------------------------------
# A whole file


def as_json(tensor):
    return {'shape': list(tensor.shape), 'data': tensor.detach().reshape(-1).tolist()}


def run_adamw(config, params, sequences, settings):
    """Trains a copy; returns it with the loss before each step and the gradient norm before clipping of each step."""
    params = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
    optimizer = torch.optim.AdamW(params.values(), lr=settings['lr'], betas=(settings['beta1'], settings['beta2']),
                                  eps=settings['eps'], weight_decay=settings['weight_decay'])
    losses, norms = [], []
    for _ in range(settings['steps']):
        optimizer.zero_grad()
        _, loss = logits_and_loss(config, params, sequences)
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(params.values(), settings['max_grad_norm'])))
        optimizer.step()
        losses.append(float(loss))
    return params, losses, norms


def compute(config, params, sequences, sentences, settings):
    """Everything of a file, and what its author wants to know but no test reads."""
    params = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
    logits, loss = logits_and_loss(config, params, sequences)
    loss.backward()
    grads = {name: p.grad for name, p in params.items()}
    after, losses, norms = run_adamw(config, params, sequences, settings)
    margins = []
    with torch.no_grad():
        projections = []
        for tokens in sentences:
            chart = sci_chart(config, params, tokens)
            parse, score, normalized, margin = greedy_parse(tokens, chart)
            margins.append(margin)
            projections.append({'tokens': tokens, 'sci_chart': chart, 'greedy_parse': parse, 'greedy_score': score,
                                'expected_normalized_score': normalized})
        golden = {
            'config': config,
            'params': {name: as_json(p) for name, p in params.items()},
            'batch': {'sequences': sequences, 'logits': as_json(logits), 'loss': float(loss), 'grad_norm': total_norm(grads.values()),
                      'grads': {name: as_json(g) for name, g in grads.items()}},
            'attention_entropy_published_code': attention_entropy(config, params, sequences, propagated=False),
            'attention_entropy_propagated': attention_entropy(config, params, sequences, propagated=True),
            'weight_norm': total_norm(params.values()),
            'tree_projections': projections,
            'adamw': dict(settings, losses_before_each_step=losses, params_after={name: as_json(p) for name, p in after.items()}),
        }
    return golden, {'grad_norms': norms, 'margin': min(margins)}


# ---------------------------------------------------------------------------------------------------------------------
# Making one


# Chosen so that together they reach what a 2-layer model of width 16 does not: one layer and many, widths that are no
# multiple of a vector, odd head sizes, very short and long sequences, weight decay, unclipped gradients. The seeds are such
# that no split is a near tie and no gradient lies where Adam turns float32's rounding into large steps, so that an
# implementation in float32 can be held to these numbers too.
CASES = {
    'one_layer': dict(n_input_tokens=7, d_model=8, n_heads=1, d_ff=12, n_layers=1, seed=1, batch=[1, 4, 2, 3, 4], sentences=[1, 2, 3, 6]),
    'deep': dict(n_input_tokens=15, d_model=12, n_heads=2, d_ff=20, n_layers=5, seed=4, batch=[20, 1, 13, 7, 2, 19],
                 sentences=[1, 2, 3, 5, 9, 14]),
    'wide_heads': dict(n_input_tokens=12, d_model=32, n_heads=8, d_ff=48, n_layers=3, seed=3, batch=[9, 3, 11, 1],
                       sentences=[1, 2, 3, 8, 12], weight_decay=0.1),
    'odd_heads': dict(n_input_tokens=11, d_model=18, n_heads=6, d_ff=29, n_layers=3, seed=4, batch=[6, 10, 1, 8],
                      sentences=[1, 2, 3, 7, 11, 13]),
    'trained': dict(n_input_tokens=9, d_model=10, n_heads=2, d_ff=14, n_layers=2, seed=7, batch=[12, 5, 1, 9, 7, 7, 3, 10],
                    sentences=[1, 2, 3, 10, 14], train_steps=100, lr=2e-4, weight_decay=0.5),
}
DEFAULTS = dict(weight_decay=0.0, max_grad_norm=1.0, lr=1e-3, steps=3, train_steps=0)


def to_grid(tensor):
    """Rounds to multiples of 2^-12: exact in float32, and short in decimal."""
    return torch.round(tensor * 4096) / 4096


def draw_params(config, generator):
    """Xavier-uniform-like matrices, and biases and norms that are far from 0 and 1, so that no test passes by leaving them out."""
    params = {}
    for name, shape in parameter_shapes(config).items():
        if name.endswith('norm1.weight') or name.endswith('norm2.weight'):
            value = 1 + 0.1 * torch.randn(shape, generator=generator, dtype=FLOAT)
        elif len(shape) == 1:
            value = 0.15 * torch.randn(shape, generator=generator, dtype=FLOAT)
        else:
            bound = math.sqrt(6 / (shape[0] + shape[1]))
            value = (2 * torch.rand(shape, generator=generator, dtype=FLOAT) - 1) * bound
        params[name] = to_grid(value)
    return params


def draw_words(config, generator, length):
    return torch.randint(1, config['n_input_tokens'], (length,), generator=generator).tolist()


def draw_sentences(config, generator, lengths):
    """Sentences of these lengths; after them, relatives of the longest: the same beginning, the same end, a prefix of it, a
    suffix of it, and one word repeated, for algorithms that share work between sentences or spans."""
    sentences = [draw_words(config, generator, length) for length in lengths]
    longest = max(sentences, key=len)
    n = len(longest)
    sentences.append(longest[:n // 2] + draw_words(config, generator, n - n // 2 - 1))
    sentences.append(draw_words(config, generator, n // 2) + longest[n // 2:])
    sentences.append(longest[:n // 2])
    sentences.append(longest[n // 2:])
    sentences.append([longest[0]] * min(n, 5))
    return sentences


def make(name, n_input_tokens, d_model, n_heads, d_ff, n_layers, seed, batch, sentences, **options):
    unknown = set(options) - set(DEFAULTS)
    if unknown:
        raise ValueError(f'no such option: {sorted(unknown)}')
    if d_model % n_heads or d_model % 2:
        raise ValueError('d_model must be even and a multiple of n_heads')
    options = dict(DEFAULTS, **options)
    config = {'n_input_tokens': n_input_tokens, 'sos_id': n_input_tokens + 1, 'eos_id': n_input_tokens, 'pad_id': PAD,
              'd_model': d_model, 'n_heads': n_heads, 'd_ff': d_ff, 'n_layers': n_layers}
    generator = torch.Generator().manual_seed(seed)
    params = draw_params(config, generator)
    sequences = [draw_words(config, generator, length) for length in batch]
    sentences = draw_sentences(config, generator, sentences)
    settings = {'lr': options['lr'], 'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-07, 'weight_decay': options['weight_decay'],
                'max_grad_norm': options['max_grad_norm'], 'steps': options['steps']}
    if options['train_steps']:  # first trains on the batch, for a small gradient and attention that is far from uniform
        trained, _, _ = run_adamw(config, params, sequences, dict(settings, lr=3e-3, steps=options['train_steps']))
        params = {key: to_grid(p.detach()) for key, p in trained.items()}
    golden, notes = compute(config, params, sequences, sentences, settings)
    print(f'{name}: gradient norms {notes["grad_norms"]}, closest split decision {notes["margin"]:.1e}')
    if notes['margin'] < 1e-5:
        raise ValueError(f'{name}: a split is decided by {notes["margin"]}, so rounding could change a parse; take another seed')
    return golden


# ---------------------------------------------------------------------------------------------------------------------
# Checking one


def differences(expected, found, path='', out=None):
    """{key: largest absolute difference}; list indices are left out of keys; inf where structure or text differs."""
    out = {} if out is None else out
    if isinstance(expected, dict) and isinstance(found, dict):
        if set(expected) != set(found):
            out[path + ' (keys)'] = math.inf
        for key in set(expected) & set(found):
            differences(expected[key], found[key], f'{path}.{key}' if path else key, out)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            out[path + ' (length)'] = math.inf
        for a, b in zip(expected, found):
            differences(a, b, path, out)
    elif isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        difference = abs(expected - found)
        out[path] = max(out.get(path, 0.0), math.inf if math.isnan(difference) else difference)
    else:
        out[path] = max(out.get(path, 0.0), 0.0 if expected == found else math.inf)
    return out


def check(path, tolerance):
    with open(path, encoding='utf-8') as file:
        golden = json.load(file)
    shapes = parameter_shapes(golden['config'])
    if {name: p['shape'] for name, p in golden['params'].items()} != shapes:
        print(f'{path}: the parameters are not those of its config')
        return False
    params = {name: torch.tensor(p['data'], dtype=FLOAT).reshape(p['shape']) for name, p in golden['params'].items()}
    settings = {key: golden['adamw'][key] for key in ('lr', 'beta1', 'beta2', 'eps', 'weight_decay', 'max_grad_norm', 'steps')}
    again, notes = compute(golden['config'], params, golden['batch']['sequences'], [t['tokens'] for t in golden['tree_projections']],
                           settings)
    found = differences(golden, again)
    worst = {}  # the parameters of one group in one line
    for key, value in found.items():
        for group in ('batch.grads', 'adamw.params_after', 'params', 'config'):
            if key.startswith(group + '.'):
                key = group
                break
        worst[key] = max(worst.get(key, 0.0), value)
    print(f'{path}: gradient norms {notes["grad_norms"]}, closest split decision {notes["margin"]:.1e}')
    for key in sorted(worst):
        print(f'  {key:45} {worst[key]:.1e}{"" if worst[key] <= tolerance else "   <-- differs"}')
    return max(worst.values()) <= tolerance


def write(golden, folder, name):
    path = os.path.join(folder, f'{name}_lm.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(golden, file)  # json writes floats with repr: reading gives the same float64
        file.write('\n')
    print(f'{path}: {os.path.getsize(path)} bytes')


def main():
    def lengths(text):
        return [int(n) for n in text.split(',')]

    parser = argparse.ArgumentParser(description='Makes and checks *_lm.json; the definitions are at the top of this script.')
    parser.add_argument('--all', action='store_true', help='write every case')
    parser.add_argument('--case', action='append', default=[], choices=sorted(CASES), help='write this case')
    parser.add_argument('--check', nargs='+', default=[], metavar='FILE', help='recompute these files')
    parser.add_argument('--tolerance', type=float, default=1e-11)
    parser.add_argument('--out', default=os.path.dirname(os.path.abspath(__file__)), metavar='DIR')
    parser.add_argument('--name', help='write a configuration of your own, under this name')
    for option in ('n-input-tokens', 'd-model', 'n-heads', 'd-ff', 'n-layers', 'seed', 'train-steps', 'steps'):
        parser.add_argument('--' + option, type=int)
    for option in ('lr', 'weight-decay', 'max-grad-norm'):
        parser.add_argument('--' + option, type=float)
    parser.add_argument('--batch', type=lengths, help='lengths of the batch\'s sequences')
    parser.add_argument('--sentences', type=lengths, help='lengths of the tree-projection sentences; relatives of the longest are added')
    args = parser.parse_args()

    torch.set_num_threads(1)
    cases = {name: CASES[name] for name in (CASES if args.all else args.case)}
    if args.name:
        own = ('n_input_tokens', 'd_model', 'n_heads', 'd_ff', 'n_layers', 'seed', 'batch', 'sentences')
        missing = [key for key in own if getattr(args, key) is None]
        if missing:
            parser.error(f'--name needs {missing}')
        cases[args.name] = {key: getattr(args, key) for key in own + tuple(DEFAULTS) if getattr(args, key) is not None}
    if not cases and not args.check:
        parser.error('nothing to do')
    for name, case in cases.items():
        write(make(name, **case), args.out, name)
    results = [check(path, args.tolerance) for path in args.check]
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
