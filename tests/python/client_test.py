"""coppice.client against a real coordinator, and against answers that one sweep does not give.

    client_test.py BIN      the folder of the built programs
"""

import array
import contextlib
import importlib.util
import io
import json
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'python'))
from coppice import client as module  # noqa: E402
from coppice import _safetensors  # noqa: E402
from coppice.client import Client, CoppiceError  # noqa: E402

BIN = os.path.abspath(sys.argv[1])

SPEC = {'name': 'demo', 'tasks': ['question', 'tense'], 'depths': 1, 'seeds': '0-1', 'model': {'d_model': 16, 'heads': 2, 'd_ff': 16},
        'train': {'steps': 20, 'warmup_steps': 5, 'batch_size': 4}, 'data': {'train': 200, 'val': 20, 'test': 20, 'gen': 20},
        'report': {'every': 10, 'decode_sentences': 10, 'probes': {'sentences': 0}}, 'checkpoint': {'every': 10}}


def has(name):
    return importlib.util.find_spec(name) is not None


def documented():
    """The examples of docs/python.md and of the module that use the client."""
    with open(os.path.join(HERE, '..', '..', 'docs', 'python.md')) as file:
        found = [text for text in re.findall(r'^```python\n(.*?)^```$', file.read(), re.MULTILINE | re.DOTALL) if 'Client' in text]
    text = re.search(r'^::\n\n(.*?)^\w', module.__doc__, re.MULTILINE | re.DOTALL).group(1)
    return [*found, '\n'.join(line[4:] for line in text.splitlines())]


class Live(unittest.TestCase):
    """`coppice local` with a small sweep that has ended."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        with open(cls.folder + '/sweep.yaml', 'w') as file:
            json.dump(SPEC, file)
        cls.environment = {**{name: value for name, value in os.environ.items() if not name.startswith('COPPICE_')}, 'HOME': cls.folder}
        cls.local = subprocess.Popen([BIN + '/coppice', 'local', 'sweep.yaml', '--no-report', '--pack', '2', '--keep-running', '--dir', 'run'],
                                     cwd=cls.folder, env=cls.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        cls.addClassCleanup(cls.end)
        output = []
        for line in cls.local.stdout:
            output.append(line)
            if ' goes on' in line:
                break
        else:
            raise AssertionError(''.join(output))
        cls.client = Client(access=cls.folder + '/run/access.json', binary=BIN + '/coppice')

    @classmethod
    def end(cls):
        cls.local.send_signal(signal.SIGINT)
        cls.local.communicate(timeout=60)

    def test_sweeps_and_jobs_are_what_ran(self):
        sweep, = [sweep for sweep in self.client.sweeps() if sweep.name == 'demo']
        self.assertEqual((sweep.name, sweep.jobs, sweep.steps_done, sweep.ended, sweep.succeeded), ('demo', 4, 80, True, True))
        self.assertEqual(self.client.sweep('demo'), sweep)
        self.assertEqual([(job.point, job.seed, job.state, job.step) for job in self.client.jobs('demo', {'task': 'tense'})],
                         [({'task': 'tense', 'depth': 1}, seed, 'succeeded', 20) for seed in (0, 1)])
        self.assertEqual(len(self.client.jobs('demo', {'seed': [0, 1], 'depth': 1}, states=['succeeded'])), 4)

    def test_rows_are_those_of_the_exported_table(self):
        exported = subprocess.run([BIN + '/coppice', '--access', self.folder + '/run/access.json', 'metrics', 'demo', '--csv'],
                                  env=self.environment, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        rows = list(self.client.rows('demo'))
        self.assertEqual(len(rows), len(exported) - 1)
        names = exported[0].split(',')
        for row, line in zip(rows, exported[1:]):
            for name, cell in zip(names, line.split(',')):
                if name in row:
                    self.assertEqual(str(row[name]) if name == 'task' else float(row[name]), cell if name == 'task' else float(cell))
        self.assertEqual([set(row) for row in self.client.rows('demo', {'seed': 1}, names=['val_loss'], from_step=20)],
                         [{'task', 'depth', 'seed', 'step', 'val_loss'}] * 2)

    @unittest.skipUnless(has('pandas'), 'no pandas here (Debian: apt install python3-pandas)')
    def test_metrics_are_a_data_frame(self):
        table = self.client.metrics('demo', names=['val_loss'])
        self.assertEqual(list(table.columns), ['task', 'depth', 'seed', 'step', 'val_loss'])
        self.assertEqual(table.groupby(['task', 'depth'])['val_loss'].count().to_dict(), {('question', 1): 4, ('tense', 1): 4})

    def test_metrics_without_pandas_are_a_list(self):
        with mock.patch.dict(sys.modules, pandas=None):
            self.assertEqual(self.client.metrics('demo'), list(self.client.rows('demo')))

    def test_a_checkpoint_comes_as_a_file_and_as_arrays(self):
        job = self.client.jobs('demo')[0]
        self.assertEqual([(checkpoint.step, checkpoint.current) for checkpoint in self.client.checkpoints(job)], [(20, True), (10, False)])
        path = self.client.fetch('demo/question/1/0', Path(self.folder) / 'q.safetensors', step=10)
        with self.assertRaisesRegex(CoppiceError, 'is there|exists'):
            self.client.fetch(job, path)
        self.client.fetch(job, path, step=10, replace=True)
        tensors, metadata = module.read_safetensors(path)
        self.assertEqual((metadata['seed'], metadata['step']), ('0', '10'))
        self.assertEqual(tuple(tensors['model.output_map.weight'].shape)[1], 16)
        newest = self.client.arrays(job)
        self.assertEqual(set(newest), set(tensors))
        self.assertNotEqual(newest['model.output_map.weight'].tolist(), tensors['model.output_map.weight'].tolist())

    def test_submitting_the_same_changes_nothing_and_waiting_returns(self):
        self.assertEqual(self.client.submit(self.folder + '/sweep.yaml').name, 'demo')
        self.assertEqual(self.client.submit(SPEC, dry_run=True).name, 'demo')
        self.assertIsNone(self.client.submit({**SPEC, 'name': 'other'}, dry_run=True))
        with self.assertRaisesRegex(CoppiceError, '(?s)demo.*train.steps') as caught:
            self.client.submit({**SPEC, 'train': {**SPEC['train'], 'steps': 30}})
        self.assertNotEqual(caught.exception.exit_code, 0)
        self.assertEqual([sweep.name for sweep in self.client.wait('demo', timeout=60)], ['demo'])
        self.assertEqual(self.client.cancel('demo'), 0)
        self.assertTrue(self.client.why('demo/tense/1/0'))
        self.assertIsInstance(self.client.logs(1), str)

    def test_jobs_are_cancelled_and_retried_by_seed(self):
        try:
            self.client.submit({**SPEC, 'name': '77', 'tasks': 'tense', 'train': {**SPEC['train'], 'steps': 900000}})
            self.client.pause('77')
            with self.assertRaises(TimeoutError):
                self.client.wait('77', timeout=0.2)
            self.assertEqual(self.client.cancel('77', {'seed': 1}), 1)
            self.assertEqual([job.state == 'cancelled' for job in self.client.jobs('77')], [False, True])
            self.assertEqual(self.client.retry('77', {'seed': 1}), 1)
        finally:
            self.client.cancel('77')

    def test_a_sweep_grows(self):
        try:
            self.client.submit({**SPEC, 'name': 'grow', 'tasks': 'tense', 'train': {**SPEC['train'], 'steps': 900000}})
            self.client.pause('grow')
            planned = self.client.extend('grow', axes={'seed': range(1, 4)}, settings={'priority': 5}, dry_run=True)
            self.assertEqual((planned['new_jobs'], planned['settings']), ('2', ['priority: 0 -> 5']))
            self.assertEqual(len(self.client.jobs('grow')), 2)
            self.assertEqual(self.client.extend('grow', axes={'seed': range(1, 4)}, settings={'priority': 5}), planned)
            self.assertEqual([job.seed for job in self.client.jobs('grow')], [0, 1, 2, 3])
            self.assertRegex(self.client.spec('grow'), '(?s)seeds: 0-3\n.*priority: 5\n')
            whole = {**SPEC, 'name': 'grow', 'tasks': 'tense', 'seeds': '0-4', 'train': {**SPEC['train'], 'steps': 900000}, 'priority': 5}
            self.assertEqual(self.client.extend('grow', whole)['new_jobs'], '1')
            with self.assertRaisesRegex(CoppiceError, '(?s)grow.*seeds') as caught:
                self.client.extend('grow', {**whole, 'seeds': '0-1'})
            self.assertEqual(caught.exception.exit_code, 2)
        finally:
            self.client.cancel('grow')

    def test_a_sweep_is_noted_tagged_and_deleted(self):
        self.client.submit({**SPEC, 'name': 'old', 'tasks': 'tense', 'train': {**SPEC['train'], 'steps': 900000}})
        self.client.note('old', '-v was too much\nsecond line')
        self.assertEqual(self.client.tag('old', add=['b', 'a', 'c'], remove=['x']), ['a', 'b', 'c'])
        self.assertEqual(self.client.tag('old', remove=['b']), ['a', 'c'])
        self.assertEqual(self.client.sweep('old').note, '-v was too much\nsecond line')
        self.client.note('old', '')
        self.assertEqual(self.client.sweep('old').note, '')
        with self.assertRaisesRegex(CoppiceError, 'coppice cancel old'):
            self.client.delete('old')
        self.client.cancel('old')
        self.client.delete('old')
        with self.assertRaisesRegex(CoppiceError, "no sweep 'old'|no sweep named 'old'"):
            self.client.sweep('old')

    def test_errors_name_what_is_wrong(self):
        for call, message in ((lambda: self.client.jobs('nix'), "no sweep 'nix'"), (lambda: list(self.client.rows('nix')), "no sweep 'nix'"),
                              (lambda: self.client.jobs('demo', {'depth': 9}), 'depth'), (lambda: self.client.wait('nix'), 'nix'),
                              (lambda: self.client.submit({'name': 'x', 'taks': 'tense'}), 'tasks')):
            with self.assertRaisesRegex(CoppiceError, message):
                call()
        with self.assertRaisesRegex(ValueError, 'no name of a sweep'):
            self.client.jobs('--json')
        with self.assertRaisesRegex(FileNotFoundError, 'put it in PATH'):
            Client(binary='no-such-program')

    @unittest.skipUnless(has('pandas') and has('numpy'), 'no pandas here (Debian: apt install python3-pandas)')
    def test_the_documented_examples_run(self):
        examples = documented()
        self.assertEqual(len(examples), 2)
        variables = {'COPPICE_ACCESS': self.folder + '/run/access.json', 'PATH': BIN + os.pathsep + os.environ['PATH']}
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            with mock.patch.dict(os.environ, variables):
                for text in examples:
                    with self.subTest(text=text), contextlib.redirect_stdout(io.StringIO()) as out:
                        names = {}
                        exec(compile(text, 'example', 'exec'), names)
                        self.assertTrue(out.getvalue() or 'weights' in names)
        finally:
            os.chdir(before)


class Answers(unittest.TestCase):
    """A program that answers with axes, and keeps its arguments."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.program = folder.name + '/coppice'
        self.arguments = folder.name + '/arguments'
        with open(self.program, 'w') as file:
            file.write(f'#!{sys.executable}\nimport json, sys\nwith open({self.arguments!r}, "a") as file:\n'
                       '    file.write(json.dumps(sys.argv[1:]) + "\\n")\n'
                       f'answers = json.loads({json.dumps(json.dumps(self.answers()))})\n'
                       'print(answers[sys.argv[1]])\n')
        os.chmod(self.program, stat.S_IRWXU)
        self.client = Client(binary=self.program)

    @staticmethod
    def answers():
        point = [{'axis': 'size', 'value': 'small'}, {'axis': 'train.learning_rate', 'value': '3e-4'}, {'axis': 'depth', 'value': '2'}]
        job = {'id': '7', 'sweep': 's', 'task': 'tense', 'depth': 2, 'seed': 3, 'state': 'RUNNING', 'step': 5, 'steps': 9, 'worker': 'w',
               'reason': '', 'checkpoint_step': 0, 'latest': [{'name': 'loss', 'value': 1}], 'point': point}
        row = {'seed': 3, 'point': point, 'row': {'step': 5, 'values': [{'name': 'val/loss', 'value': 0.5}]}}
        return {'jobs': json.dumps({'jobs': [job]}), 'metrics': json.dumps(row),
                'status': json.dumps({'sweep': {}, 'groups': [{'point': point}]})}

    def called(self):
        with open(self.arguments) as file:
            return [json.loads(line) for line in file]

    def test_points_are_dicts_whose_numbers_are_numbers(self):
        point = {'size': 'small', 'train.learning_rate': 3e-4, 'depth': 2}
        job, = self.client.jobs('s')
        self.assertEqual((job.point, list(job.point), job.state), (point, list(point), 'running'))
        self.assertEqual(list(self.client.rows('s')), [{**point, 'seed': 3, 'step': 5, 'val/loss': 0.5}])

    def test_a_number_selects_the_value_however_it_is_written(self):
        self.client.jobs('s', {'train.learning_rate': 0.0003, 'size': ['small', 'large'], 'seed': [0, 1]})
        self.assertEqual(self.called()[-1], ['jobs', 's', '--where', 'train.learning_rate=3e-4', '--where', 'size=small,large', '--seed', '0,1',
                                             '--json'])
        with self.assertRaisesRegex(ValueError, 'no value of the axis size'):
            self.client.jobs('s', {'size': []})

    def test_names_that_are_numbers_are_still_sweeps(self):
        self.client.jobs('17')
        self.assertEqual(self.called()[-1][:2], ['jobs', 'sweep:17'])


class Safetensors(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name + '/x.safetensors'

    def write(self, header, data=b''):
        text = json.dumps(header).encode() if isinstance(header, dict) else header
        with open(self.path, 'wb') as file:
            file.write(struct.pack('<Q', len(text)) + text + data)

    def test_numbers_come_with_and_without_numpy(self):
        data = struct.pack('<6f', 0, 1, 2, 3, 4, 0.5) + struct.pack('<q', -7)
        self.write({'__metadata__': {'step': '3'}, 'w': {'dtype': 'F32', 'shape': [2, 3], 'data_offsets': [0, 24]},
                    'n': {'dtype': 'I64', 'shape': [], 'data_offsets': [24, 32]}}, data)
        for without in ({'numpy': None}, {}) if has('numpy') else ({'numpy': None},):
            with mock.patch.dict(sys.modules, without):
                tensors, metadata = _safetensors.read(self.path)
            self.assertEqual((tensors['w'].tolist(), tensors['w'].shape), ([[0, 1, 2], [3, 4, 0.5]], (2, 3)))
            self.assertEqual((tensors['n'].tolist(), metadata), (-7, {'step': '3'}))
        self.assertIsInstance(_safetensors.Array([1], array.array('d', [1])).tolist(), list)

    def test_damaged_files_are_refused(self):
        entry = {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}
        for header, data in ((b'', b''), (b'{', b''), (b'[]', b''), ({'w': entry}, b'1234567'), ({'w': {**entry, 'shape': [3]}}, b'12345678'),
                             ({'w': {**entry, 'data_offsets': [-8, 0]}}, b'12345678'), ({'w': {**entry, 'dtype': 'F8'}}, b'12345678'),
                             ({'w': {**entry, 'shape': [-2, -1]}}, b'12345678'), ({'w': {**entry, 'shape': None}}, b''), ({'w': 3}, b'')):
            self.write(header, data)
            with self.assertRaisesRegex(ValueError, 'safetensors'):
                _safetensors.read(self.path)
        with open(self.path, 'wb') as file:
            file.write(struct.pack('<Q', 1 << 60) + b'{}')
        with self.assertRaisesRegex(ValueError, 'no safetensors file'):
            _safetensors.read(self.path)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
