#!/usr/bin/env python3
"""Writes the hand-made seeds of tests/fuzz/corpus. Files already there, findings among them, stay unless they bear a seed's name.

    tests/fuzz/make_seeds.py
"""
import json
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def write(target, name, content):
    folder = HERE / 'corpus' / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


# ---- protobuf, by hand: so much of it as the records need ----

def varint(value):
    out = b''
    while True:
        value, low = value >> 7, value & 127
        out += bytes([low | (128 if value else 0)])
        if not value:
            return out


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


# ---- one function a target ----

def spec():
    for name in ('demo', 'laptop', 'paper'):
        write('spec', name + '.yaml', (ROOT / 'deploy' / 'sweeps' / (name + '.yaml')).read_bytes())
    full = '''name: full.of-everything_1
tasks: [question, tense, dyck]
depths: [1, 2, 4]
seeds: [0, 3-7, 9]
model: {d_model: 64, heads: 4, d_ff: 128, dropout: 0.0}
train: {steps: 1000, batch_size: 8, learning_rate: 1e-4, warmup_steps: 10, lr_decay_steps: 2000000, beta1: 0.9,
        beta2: 0.999, epsilon: 1e-7, weight_decay: 0, clip_norm: 1.0, precision: float32}
data: {seed: 1, train: 1000, val: 100, test: 100, gen: 100, directory: "/it's \\u00e9/\\\\here"}
report: {every: 100, decode_sentences: 10, dyck_prefixes: 20, probes: {sentences: 10, every: 2}}
checkpoint: {every: 500, keep: 2, keep_every: 0}
priority: -5
max_failures: 2
overrides:
  - where: {task: [dyck], depth: [4]}
    train: {steps: 500}
    model: {heads: 2}
  - where: {task: tense}
    data: {gen: 7}
'''
    write('spec', 'full.yaml', full)
    write('spec', 'one_line.yaml', '{name: a, tasks: question, depths: 2, seeds: 0-3}')
    write('spec', 'anchors.yaml', 'name: a\ntasks: &t [question]\ndepths: [&d 2, 4]\nseeds: *d\nmodel: &m {heads: 2}\n'
                                  'overrides:\n- {where: {task: *t}, model: *m}\n')
    write('spec', 'mistakes.yaml', 'name: "x y"\ntask: question\ndepths: [0, 2, 2]\nseeds: 9-0\ntrain:\n  stepss: 3\n  steps: 3e5\n'
                                   '  learning_rate: inf\nmodel: {heads: 3, heads: 4}\n<<: {a: 1}\n? [a, b]\n: c\n')
    write('spec', 'axes.yaml', 'name: a\naxes:\n  task: [question, tense]\n  size:\n    small: {model.d_model: 128, model: {heads: 4}}\n    paper: {}\n'
          '  depth: 2-3\n  train.learning_rate: 1e-5..1e-2 log 4\n  train.precision: [float32, tf32]\n  seed: [0-2, 7]\nexclude:\n'
          '  - {task: tense, size: paper, train.learning_rate: [0.001, 1e-2]}\noverrides:\n'
          '  - {where: {size: small, depth: 2}, train: {steps: 1000}}\n')
    write('spec', 'axes_mistakes.yaml', 'name: a\ntasks: question\naxes: {task: x, lr: [1], size: {a: 3, b: {model.heads: 1, model: {heads: 2}}}, depth: 3..1 lin 2}\n'
          'exclude: [{sise: 1}, {}, 3]\noverrides: [{where: {seed: 1, tasks: 2}, settings: {x: 1}}]\n')
    write('spec', 'program.yaml', 'name: mine\nprogram:\n  command: [python3, train.py]\n  directory: /shared/study\n  environment: {OMP_NUM_THREADS: 1}\n'
          '  settings: {learning_rate: 1e-3, width: 128, activation: "relu", tied: true, decay: 1.0}\n  pack: 2\n  metrics: {primary: [val_accuracy]}\n'
          '  time_limit: 1h30m\n  resources: {gpus: 0, threads: 1}\naxes: {learning_rate: [1e-3, 0.003], width: 64-66, tied: [true, false], activation: [relu, "3"], seed: 0-4}\n'
          'train: {steps: 10000}\nreport: {every: 100}\ncheckpoint: {every: 1000, keep: 2}\noverrides: [{where: {width: 64}, settings: {decay: 0.5}}]\n')
    write('spec', 'two_documents.yaml', 'name: a\n---\nname: b\n')
    write('spec', 'deep.yaml', '[' * 600)
    write('spec', 'comma.yaml', ', a')
    write('spec', 'tags.yaml', '!!map {name: !!str a, tasks: !x [question], depths: [!!int "2"], seeds: [~]}\n')
    write('spec', 'block_scalar.yaml', 'name: |\n  a\ntasks: >-\n  question\ndepths: 2\nseeds: 1\n')
    write('spec', 'controls.yaml', b'name: a\x07\x1b[31m\ntasks: \xff\n')
    write('spec', 'many_seeds.yaml', '{name: a, tasks: question, depths: 2, seeds: 0-20000}')


def trainer_events():
    digest = '0123456789abcdef' * 2
    start = {'event': 'start', 'protocol': 1, 'version': '0', 'provenance': {'build': 'b', 'threads': 2},
             'members': [{'seed': 0, 'step': 0}, {'seed': 5, 'step': 100}, {'seed': 7, 'step': 1000}], 'steps': 1000,
             'parameters': 3}
    life = [
        start,
        {'event': 'progress', 'members': [{'seed': 0, 'step': 9}, {'seed': 5, 'step': 109}], 'steps_per_second': 1.5},
        {'event': 'metrics', 'seed': 0, 'step': 10, 'values': {'val_loss': 0.25, 'id_accuracy': 1, 'x': -1e-30}},
        {'event': 'metrics', 'seed': 0, 'step': 510, 'values': {'val_loss': 0.125}},
        {'event': 'checkpoint', 'seed': 0, 'step': 500, 'path': '/c/zero/step-500.safetensors', 'digest': digest, 'bytes': 9},
        {'event': 'later', 'anything': [1, {'a': None}]},
        {'event': 'failed', 'seed': 5, 'step': 200, 'kind': 'nan', 'message': 'loss is nan\u0007 \u00e9'},
        {'event': 'checkpoint', 'seed': 0, 'step': 1000, 'path': 'step-1000.safetensors', 'digest': digest, 'bytes': 9,
         'stall_ms': 12.5, 'write_ms': 800},
        {'event': 'done', 'seed': 0, 'step': 1000},
        {'event': 'done', 'seed': 7, 'step': 1000},
    ]
    lines = ''.join(json.dumps(event) + '\n' for event in life).encode()
    write('trainer_events', 'life', b'\0' + lines)
    write('trainer_events', 'life_in_pieces', b'\x07' + lines)
    first = json.dumps(start).encode() + b'\n'
    rest = {
        'preempted': b'{"event":"preempted","seed":5,"step":150}\n',
        'failed_before_start': b'',
        'infinite': b'{"event":"metrics","seed":0,"step":10,"values":{"a":1e999}}\n',
        'twice': b'{"event":"metrics","seed":0,"step":10,"values":{"a":1,"a":2}}\n',
        'outside': b'{"event":"checkpoint","seed":0,"step":10,"path":"/c/zero/../x","digest":"' + digest.encode() + b'","bytes":1}\n',
        'backwards': b'{"event":"progress","members":[{"seed":5,"step":99}],"steps_per_second":0}\n',
        'not_json': b'Traceback (most recent call last):\n\x1b[31mxx\xff\n',
        'negative': b'{"event":"done","seed":-1,"step":1.5}\n',
        'escapes': b'{"event":"metrics","seed":0,"step":10,"values":{"\\ud83d\\ude00":1}}\n',
    }
    for name, line in rest.items():
        write('trainer_events', name, b'\0' + first + line)
    write('trainer_events', 'failed_before_start',
          b'\0{"event":"failed","seed":0,"step":0,"kind":"data","message":"no such file"}\n')
    # Nesting that a recursive writer of JSON would die of.
    deep = json.dumps(start).replace('{"build": "b", "threads": 2}', '{"a":' + '[' * 60_000 + ']' * 60_000 + '}')
    write('trainer_events', 'deep_provenance', b'\0' + deep.encode() + b'\n')


def spool():
    ref = number(1, 7) + number(2, 3)
    lease = text(1, ref) + text(4, 'a/b')
    row = number(1, 20) + text(2, text(1, 'loss') + b'\x11' + b'\0' * 6 + b'\xf0\x3f')

    def record(at, field, content, of=ref):
        return (2, text(1, of) + number(2, at) + text(field, content))

    def framed(frames):
        return b'\1' + b''.join(bytes([kind]) + len(payload).to_bytes(2, 'little') + payload for kind, payload in frames)

    life = [(1, lease), record(1, 5, text(1, '{}')), record(2, 3, row), record(3, 4, 'log'),
            record(4, 6, number(1, 20) + text(2, 'a/b/c'))]
    everything = framed(life + [record(5, 7, number(1, 20))])
    write('spool', 'all_kinds', everything)
    write('spool', 'failed', framed(life + [record(5, 8, text(2, 'nan'))]))
    write('spool', 'released', framed(life + [record(5, 9, text(2, 'drain') + text(6, number(1, 3)))]))
    write('spool', 'replaced', framed(life + [record(2, 8, text(2, 'internal'))]))
    write('spool', 'gap', framed(life + [record(6, 3, row)]))
    write('spool', 'behind_the_end', framed(life + [record(5, 7, ''), record(6, 3, row)]))
    write('spool', 'other_lease', framed(life + [record(5, 3, row, of=number(1, 7) + number(2, 4))]))
    write('spool', 'lease_alone', framed(life[:1]))
    write('spool', 'torn', everything + b'\x01\0')
    write('spool', 'unknown_kind', everything + b'\x09\x01\0x')
    write('spool', 'no_protobuf', everything + b'\x02\x02\0\xff\xff')
    write('spool', 'no_lease', framed(life[1:]))
    write('spool', 'magic_alone', b'\0CPSPOOL2')
    write('spool', 'earlier_version', b'\3' + framed(life)[1:])
    write('spool', 'other_version', b'\0CPSPOOL3' + bytes(20))
    write('spool', 'length_zero', b'\0CPSPOOL2' + bytes(12))
    write('spool', 'length_huge', b'\0CPSPOOL2' + b'\xff' * 12)


def safetensors():
    metadata = {'digest': '0' * 32, 'format': 'coppice-checkpoint', 'version': '1', 'seed': '3', 'step': '20',
                'run': '{"task":"question","depth":2}'}
    tensors, offset = {}, 0
    for name, dtype, shape in [('model.w', 'F32', [2, 3]), ('adam_m.w', 'F32', [2, 3]), ('adam_v.w', 'F32', [2, 3]),
                               ('report.loss_sum', 'F64', [1]), ('report.grad_norm', 'F64', [1]),
                               ('report.loss_steps', 'I64', [1]), ('report.reported_step', 'I64', [1])]:
        size = (4 if dtype == 'F32' else 8) * (shape[0] * (shape[1] if len(shape) > 1 else 1))
        tensors[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [offset, offset + size]}
        offset += size
    header = json.dumps({'__metadata__': metadata, **tensors}, separators=(',', ':'))
    data = bytes(range(offset))
    write('safetensors', 'checkpoint', b'\1' + header.encode() + b'\0' + data)
    write('safetensors', 'wrong_digest', b'\0' + len(header).to_bytes(8, 'little') + header.encode() + data)
    variants = {
        'overlap': header.replace('[24,48]', '[0,24]'),
        'gap': header.replace('[24,48]', '[28,52]'),
        'too_large': header.replace('[2,3]', '[4611686018427387904,4]', 1),
        'zero_size': header.replace('[2,3]', '[0,9223372036854775807]', 1),
        'negative': header.replace('[2,3]', '[-2,3]', 1),
        'no_shape': header.replace('"shape":[1]', '"shape":[]'),
        'other_dtype': header.replace('"F64"', '"BF16"'),
        'other_format': header.replace('coppice-checkpoint', 'pt'),
        'later_version': header.replace('"version":"1"', '"version":"2"'),
        'metadata_number': header.replace('"20"', '20'),
        'negative_step': header.replace('"20"', '"-20"'),
        'two_digests': header.replace('"format"', '"digest":"' + '0' * 32 + '","format"'),
        'no_moment': header.replace('adam_v.w', 'adam_v.x'),
        'deep': header.replace('"shape":[1]', '"shape":' + '[' * 5000 + ']' * 5000, 1),
        'run_not_json': header.replace('{\\"task\\"', '{{\\"task\\"'),
    }
    for name, variant in variants.items():
        assert variant != header, name
        write('safetensors', name, b'\1' + variant.encode() + b'\0' + data)
    write('safetensors', 'header_beyond_file', b'\0' + (1 << 40).to_bytes(8, 'little') + b'{}')
    write('safetensors', 'empty_header', b'\0' + bytes(8))


def run_spec():
    run = {'task': 'tense', 'depth': 2, 'model': {'d_model': 64, 'heads': 4, 'd_ff': 128, 'dropout': 0.1},
           'train': {'steps': 100, 'batch_size': 8, 'learning_rate': 1e-4, 'warmup_steps': 10, 'lr_decay_steps': 2000,
                     'beta1': 0.9, 'beta2': 0.999, 'epsilon': 1e-7, 'weight_decay': 0, 'clip_norm': 1.0,
                     'precision': 'float32'},
           'data': {'seed': 0, 'train': 100, 'val': 10, 'test': 10, 'gen': 10, 'directory': ''},
           'report': {'every': 10, 'decode_sentences': 5, 'dyck_prefixes': 5, 'probes': {'sentences': 3, 'every': 1}},
           'checkpoint': {'every': 50, 'keep': 2, 'keep_every': 0}}
    pack = {'run': run, 'members': [{'seed': 0, 'checkpoint_dir': '/c/0'},
                                    {'seed': 1, 'checkpoint_dir': '/c/1', 'resume': '/c/1/step-50.safetensors'}],
            'threads': 1, 'device': 'auto'}
    write('run_spec', 'pack', json.dumps(pack))
    write('run_spec', 'run', json.dumps(run))
    write('run_spec', 'short_run', '{"task":"dyck","depth":1}')
    write('run_spec', 'unknown_key', json.dumps(pack).replace('"heads"', '"head"'))
    write('run_spec', 'key_twice', '{"task":"dyck","task":"tense","depth":1}')
    write('run_spec', 'camel_case', '{"task":"dyck","depth":1,"train":{"batchSize":4,"learningRate":"NaN"}}')
    write('run_spec', 'directory', json.dumps({**run, 'data': {'directory': 'd\u0007\u00e9"\\'}}))
    write('run_spec', 'deep', '{"run":' + '[' * 3000 + ']' * 3000 + '}')
    write('run_spec', 'seeds', '0-9,12,20-21')
    write('run_spec', 'many_seeds', '0-999,1000-1999,18446744073709551615')


def sentences():
    for name, task, line in [
            ('question_declarative', 0, 'my walrus doesn\'t eat . decl\tmy walrus doesn\'t eat .'),
            ('question_asked', 0, 'my walrus doesn\'t eat . quest\tdoesn\'t my walrus eat ?'),
            ('question_clause', 0, 'my walrus that does eat doesn\'t giggle . quest\tdoesn\'t my walrus that does eat giggle ?'),
            ('question_sentence', 0, 'my walrus that does eat doesn\'t giggle'),
            ('tense_past', 1, 'my walrus ate . PAST\tmy walrus ate .'),
            ('blanks_at_the_end', 1, 'my walrus ate . PAST\tmy walrus ate . \t'),
            ('tense_present', 1, 'my walrus ate . PRESENT\tmy walrus eats .'),
            ('tense_phrase', 1, 'my walrus near our yaks ate . PRESENT\tmy walrus near our yaks eats .'),
            ('tense_sentence', 1, 'my walrus near our yaks ate'),
            ('dyck', 2, '(a (b b) a) END'),
            ('dyck_open', 2, '(a (b b) END'),
            ('empty', 0, ''),
            ('spaces', 1, '  my  walrus ate . PAST\t'),
            ('no_tab', 0, 'my walrus doesn\'t eat . quest')]:
        write('sentences', name, bytes([task]) + line.encode())


def archive():
    def entry(name, content=b'', kind=b'0'):
        return kind + bytes([len(name), len(content)]) + name.encode() + content
    folder = entry('sub/', kind=b'5')
    for name, entries in {'files': entry('a', b'first') + folder + entry('sub/b', b'second'), 'up': entry('../a', b'x'),
                          'absolute': entry('/tmp/a', b'x'), 'no_folder': entry('sub/b', b'x'),
                          'link': entry('sub', kind=b'2') + entry('sub/b', b'x'), 'twice': entry('a') + entry('a'),
                          'folder_is_file': entry('a') + entry('a/b'), 'empty': b''}.items():
        write('archive', name, b'\1' + entries)
    write('archive', 'zeros', bytes(1 + 1024))
    write('archive', 'torn', b'\0ustar')


if __name__ == '__main__':
    os.umask(0o022)
    for target in (spec, trainer_events, spool, safetensors, run_spec, sentences, archive):
        target()
