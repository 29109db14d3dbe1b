"""A program in PyTorch: interrupted or not, it gives the same bits.

Exit code 77 (skipped) where this Python has no torch.
"""

import os
import signal
import sys
import tempfile
import unittest

try:
    import torch
except ImportError:
    print('skipped: this Python has no torch (Debian: apt install python3-torch)')
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import fake_worker  # noqa: E402

NET = os.path.join(HERE, 'programs', 'net.py')
SIZES = {'steps': 30, 'report': 5, 'checkpoint': 10}


class Torch(unittest.TestCase):
    def test_interrupted_by_sigterm_and_sigkill_it_gives_the_same_bits(self):
        with tempfile.TemporaryDirectory() as folder:
            whole = fake_worker.run(NET, folder, seeds=[0], **SIZES)
            self.assertEqual(whole.code, 0, whole.text())
            start = whole.of('start')[0]
            self.assertEqual((start['parameters'], start['provenance']['torch']), (161, torch.__version__))
            for number, code in ((signal.SIGTERM, 75), (signal.SIGKILL, -9)):
                rows, codes = fake_worker.run_interrupted(NET, folder, (15, 20), number, **SIZES)
                self.assertEqual(codes, [code, code, 0])
                self.assertEqual(rows, whole.rows())
            self.assertNotEqual(fake_worker.run(NET, folder, settings={'width': 15}, **SIZES).rows(), whole.rows())


if __name__ == '__main__':
    unittest.main()
