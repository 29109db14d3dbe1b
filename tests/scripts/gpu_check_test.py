"""tests/gpu_check.sh without a GPU: what it does when tests fail or hang and measurements break off, and that what it links starts where
nothing is installed. The tools around it are stand-ins; the linker, the loader and the mount namespace are real."""
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ('bin/coppice-trainer', 'tests/trainer_cuda_device_test', 'tests/trainer_stacked_pack_test',
            'tests/trainer_stacked_engine_test')

CMAKE = '''#!/usr/bin/env python3
import os, shlex, shutil, subprocess, sys
words = sys.argv[1:]
if words[0] != '--build':
    build = words[words.index('-B') + 1]
    os.makedirs(build, exist_ok=True)
    open(build + '/build.ninja', 'w').write('cuda_device.cc')
    link = [word.split('=', 1)[1] for word in words if word.startswith('-DCMAKE_EXE_LINKER_FLAGS=')]
    open(build + '/link', 'w').write(link[0])
    sys.exit(0)
build = words[1]
for name in %r:
    target = os.path.join(build, name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    script = os.path.join(os.environ['STAND_INS'], os.path.basename(name))
    if os.path.exists(script):
        shutil.copy(script, target)
    else:
        flags = shlex.split(open(build + '/link').read())
        subprocess.run(['gcc', '-o', target, os.environ['STAND_INS'] + '/main.c', *flags, '-louter'], check=True)
''' % (PROGRAMS,)

MEASURE = '''#!/bin/sh
echo '{"event":"width","width":1,"steps_per_second":10.0,"seed_steps_per_second":10.0,"peak_bytes":1000000}'
'''


class GpuCheckTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = self.folder.name
        self.tree, self.deps, self.stand_ins = (os.path.join(self.root, name) for name in ('tree', 'deps', 'stand_ins'))
        os.makedirs(self.tree + '/tests')
        for script in ('gpu_check.sh', 'start_without.sh'):
            shutil.copy(os.path.join(TESTS, script), self.tree + '/tests')
        os.makedirs(self.tree + '/scripts')
        shutil.copy(os.path.join(TESTS, '..', 'scripts', 'cuda_trainer.sh'), self.tree + '/scripts')
        self.libraries = self.deps + '/usr/lib/x86_64-linux-gnu'
        os.makedirs(self.libraries)
        os.makedirs(self.deps + '/usr/include/absl')
        os.makedirs(self.stand_ins)
        os.makedirs(self.root + '/tmp')
        os.mkdir(self.root + '/path')
        for tool, text in {'cmake': CMAKE, 'ninja': '#!/bin/sh\n', 'nvcc': '#!/bin/sh\necho "release 13.0, V13"\n',
                           'nvidia-smi': '#!/bin/sh\necho "NVIDIA H200, 580.1, 9.0"\n'}.items():
            self.write('path/' + tool, text)
        self.environment = dict(os.environ, PATH=self.root + '/path:' + os.environ['PATH'], STAND_INS=self.stand_ins,
                                CMAKE_PREFIX_PATH='/torch', TMPDIR=self.root + '/tmp')

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, 'w') as out:
            out.write(text)
        os.chmod(path, 0o755)

    def stand_in(self, name, text):
        self.write('stand_ins/' + name, '#!/bin/sh\n' + textwrap.dedent(text))

    def all_well(self):
        for name in PROGRAMS[1:]:
            self.stand_in(os.path.basename(name), "echo '[ RUN      ] A.B'; echo '[       OK ] A.B (1 ms)'\n")
        self.write('stand_ins/coppice-trainer', MEASURE)

    def check(self, *words):
        """(exit code, stdout, stderr)"""
        done = subprocess.run([self.tree + '/tests/gpu_check.sh', *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=self.environment)
        return done.returncode, done.stdout, done.stderr

    def run_check(self, *words):
        return self.check('--deps', self.deps, '--out', self.root + '/out', *words)

    def test_where_all_is_well_it_ends_with_zero_and_four_measurements(self):
        self.all_well()
        code, out, err = self.run_check()
        self.assertEqual(code, 0, err)
        self.assertEqual(out.count('| 1 | 10.0 | 10 | 0.00 |'), 4)
        self.assertEqual(sorted(name for name in os.listdir(self.root + '/out') if name.endswith('.jsonl')),
                         ['measure-d128.jsonl', 'measure-d512-float32.jsonl', 'measure-d512.jsonl', 'measure-d64.jsonl'])

    def test_a_failed_measurement_hides_no_failed_test_and_no_later_measurement(self):
        self.all_well()
        self.stand_in('trainer_cuda_device_test', "echo '[  FAILED  ] A.B'; exit 1\n")
        self.write('stand_ins/coppice-trainer', MEASURE + 'case "$*" in *"--d-model 128"*) echo "boom" >&2; exit 1 ;; esac\n')
        code, out, err = self.run_check()
        self.assertEqual(code, 1)
        self.assertIn('failed: trainer_cuda_device_test (exit code 1)', err)
        self.assertIn('failed: the measurement of d=128, depth 4 (exit code 1)', err)
        self.assertIn('| d=512, depth 6, float32 |', out)
        self.assertNotIn('trainer_stacked_engine_test (', err)

    def test_a_test_that_hangs_is_ended_and_named_and_the_rest_runs(self):
        self.all_well()
        self.stand_in('trainer_stacked_pack_test', "echo '[ RUN      ] Pack.Hangs'; exec sleep 600\n")
        code, out, err = self.run_check('--test-limit', '1')
        self.assertEqual(code, 1)
        self.assertIn('failed: trainer_stacked_pack_test (ended after 1 s, in Pack.Hangs)', err)
        self.assertIn('trainer_stacked_engine_test: 1 passed', out)
        self.assertEqual(out.count('| 1 | 10.0 |'), 4)

    def test_a_measurement_that_was_broken_off_keeps_its_figures(self):
        self.all_well()
        self.write('stand_ins/coppice-trainer', MEASURE + """printf '{"event":"wid'; exit 1\n""")
        code, out, err = self.run_check()
        self.assertEqual(code, 1)
        self.assertEqual(out.count('| 1 | 10.0 |'), 4)
        self.assertIn('4 failed', err)

    # As Abseil: a program needs `outer`, which needs `inner`, and neither says where the other lies.
    def link_libraries(self):
        sources = {'inner.c': 'int inner(void) { return 0; }', 'outer.c': 'int inner(void); int outer(void) { return inner(); }',
                   'main.c': 'int outer(void); int main(void) { return outer(); }'}
        for name, text in sources.items():
            self.write('stand_ins/' + name, text)
        for name, needs in (('inner', []), ('outer', ['-linner'])):
            subprocess.run(['gcc', '-shared', '-fPIC', '-o', '%s/lib%s.so' % (self.libraries, name),
                            '%s/%s.c' % (self.stand_ins, name), '-L' + self.libraries, *needs], check=True)

    def test_what_it_links_finds_also_the_libraries_that_libraries_need(self):
        self.link_libraries()
        code, out, err = self.run_check('--build-only')
        self.assertEqual(code, 0, err)
        self.assertRegex(out, 'starts without the system|no permission for a mount namespace')

    def test_what_does_not_start_on_a_bare_machine_is_told_by_build_only(self):
        for name in PROGRAMS:
            self.stand_in(os.path.basename(name), 'echo "cannot open shared object file" >&2; exit 127\n')
        code, out, err = self.run_check('--build-only')
        if 'no permission' in out:
            self.skipTest('no mount namespaces here')
        self.assertEqual(code, 1)
        self.assertIn('coppice-trainer does not start where the collected libraries are not installed', err)

    def test_the_namespace_hides_the_systems_copy(self):
        library = subprocess.run(['gcc', '-print-file-name=libm.so.6'], stdout=subprocess.PIPE, text=True).stdout.strip()
        shutil.copy(library, self.libraries + '/libm.so.6')
        self.write('stand_ins/sine.c', '#include <math.h>\nint main(int n, char **a) { return sin(n) > 2; }')
        plain, own = self.root + '/plain', self.root + '/own'
        source = self.stand_ins + '/sine.c'
        subprocess.run(['gcc', '-fno-builtin', '-o', plain, source, '-lm'], check=True)
        subprocess.run(['gcc', '-fno-builtin', '-o', own, source, '-lm', '-Wl,--disable-new-dtags,-rpath,' + self.libraries], check=True)
        start = [self.tree + '/tests/start_without.sh', self.libraries]
        hidden = subprocess.run([*start, plain], stderr=subprocess.PIPE, text=True)
        if hidden.returncode == 77:
            self.skipTest('no mount namespaces here')
        self.assertEqual(hidden.returncode, 127)
        self.assertIn('libm.so.6', hidden.stderr)
        self.assertEqual(subprocess.run([*start, own]).returncode, 0)
        self.assertEqual(subprocess.run([plain]).returncode, 0)  # outside nothing has changed

    def test_collect_ends_with_zero_and_leaves_nothing_behind(self):
        self.write('path/apt-get', '#!/bin/sh\n[ "$1" = download ] && touch one.deb two.deb\n')
        self.write('path/dpkg-deb', '#!/bin/sh\nmkdir -p "$3/usr/lib"; touch "$3/usr/lib/$(basename "$2")"\n')
        code, out, err = self.check('--collect', self.root + '/collected')
        self.assertEqual(code, 0, err)
        self.assertEqual(sorted(os.listdir(self.root + '/collected/usr/lib')), ['one.deb', 'two.deb'])
        self.assertEqual(os.listdir(self.root + '/tmp'), [])

    def test_a_collection_that_fails_says_so_and_leaves_nothing_behind(self):
        self.write('path/apt-get', '#!/bin/sh\nexit 100\n')
        code, _, err = self.check('--collect', self.root + '/collected')
        self.assertEqual(code, 1)
        self.assertIn('cannot download', err)
        self.assertEqual(os.listdir(self.root + '/tmp'), [])


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], '-v'])
