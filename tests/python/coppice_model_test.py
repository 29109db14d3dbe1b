"""python/coppice_model.py against golden numbers, and against the report rows of the real trainer.

    coppice_model_test.py TRAINER GOLDEN_DIR
Exit code 77 (skipped) where this Python has no torch.
"""

import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import torch
except ImportError:
    print('skipped: this Python has no torch (Debian: apt install python3-torch)')
    sys.exit(77)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'python'))
import coppice_model  # noqa: E402

TRAINER, GOLDEN = sys.argv[1:3]

SIZES = {'question': (400, 120, 120), 'tense': (400, 120, 150), 'dyck': (400, 60, 60)}


class Golden(unittest.TestCase):
    def test_logits_and_loss_are_those_of_the_reference(self):
        files = sorted(glob.glob(os.path.join(GOLDEN, '*_lm.json')))
        self.assertTrue(files)
        for path in files:
            with self.subTest(path=path):
                with open(path) as file:
                    golden = json.load(file)
                config, batch = golden['config'], golden['batch']
                model = coppice_model.LanguageModel(config['sos_id'] + 1, config['d_model'], config['n_heads'], config['d_ff'],
                                                    config['n_layers']).double().eval()
                model.load_state_dict({name: torch.tensor(entry['data'], dtype=torch.float64).reshape(entry['shape'])
                                       for name, entry in golden['params'].items()})
                vocabulary = coppice_model.Vocabulary(str(number) for number in range(config['sos_id'] + 1))
                inputs, targets = vocabulary.batch(batch['sequences'])
                logits = model(inputs)
                expected = torch.tensor(batch['logits']['data'], dtype=torch.float64).reshape(batch['logits']['shape'])
                real = (targets != 0)[:, :, None]
                self.assertLess(((logits - expected).abs() * real).max().item(), 1e-9)
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0).item()
                self.assertAlmostEqual(loss, batch['loss'], places=9)

    def test_philox_is_the_published_one(self):
        # Random123's known answers (kat_vectors).
        self.assertEqual(coppice_model.philox((0, 0, 0, 0), (0, 0)), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
        ones = 0xFFFFFFFF
        self.assertEqual(coppice_model.philox((ones,) * 4, (ones,) * 2), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD])


class Trained(unittest.TestCase):
    """A checkpoint of the real trainer gives the numbers of the row that the trainer reported at its step."""

    def train(self, task, folder):
        train, val, gen = SIZES[task]
        data = ['--train-size', str(train), '--val-size', str(val), '--test-size', '10', '--gen-size', str(gen)]
        run = [TRAINER, '--task', task, '--depth', '2', '--seeds', '3', '--steps', '120', '--d-model', '32', '--heads', '4', '--d-ff', '64',
               '--learning-rate', '2e-3', '--warmup-steps', '10', '--report-every', '120', '--checkpoint-every', '120', '--data-seed', '5',
               '--decode-sentences', '70', '--dyck-prefixes', '100', '--probe-sentences', '0', '--device', 'cpu', '--out', folder, *data]
        events = [json.loads(line) for line in subprocess.run(run, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.splitlines()]
        rows = [event for event in events if event['event'] == 'metrics']
        files = [event['path'] for event in events if event['event'] == 'checkpoint']
        for split in ('val', 'gen'):
            subprocess.run([TRAINER, 'data', '--task', task, '--split', split, '--seed', '5', '--out', f'{folder}/{task}.{split}', *data], check=True)
        return rows[-1], files[-1]

    def compare(self, task):
        with tempfile.TemporaryDirectory() as folder:
            row, path = self.train(task, folder)
            checkpoint = coppice_model.load(path)
            self.assertEqual((checkpoint.seed, checkpoint.step, checkpoint.run['task']), (3, 120, task))
            found = coppice_model.evaluate(checkpoint, f'{folder}/{task}.val', f'{folder}/{task}.gen')
            values = row['values']
            self.assertLess(abs(found['val_loss'] / values['val_loss'] - 1), 1e-5, (found, values))
            items = {'question': 40, 'tense': 70, 'dyck': 100}[task]
            for name in ('id_accuracy', 'gen_accuracy'):
                self.assertLessEqual(abs(found[name] - values[name]), 2 / items, (name, found, values))
            # A model with other weights gives other numbers.
            with torch.no_grad():
                checkpoint.model.output_map.bias.add_(torch.linspace(-1, 1, len(checkpoint.vocabulary)))
            self.assertGreater(abs(coppice_model.evaluate(checkpoint, f'{folder}/{task}.val')['val_loss'] / values['val_loss'] - 1), 1e-3)

    def test_question(self):
        self.compare('question')

    def test_tense(self):
        self.compare('tense')

    def test_dyck(self):
        self.compare('dyck')

    def test_a_file_without_a_vocabulary_is_refused_with_a_remedy(self):
        with tempfile.NamedTemporaryFile() as file:
            header = json.dumps({'__metadata__': {'format': 'coppice-checkpoint', 'run': '{}'}}).encode()
            file.write(len(header).to_bytes(8, 'little') + header)
            file.flush()
            with self.assertRaisesRegex(ValueError, 'before checkpoints held their vocabulary'):
                coppice_model.load(file.name)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
