"""scripts/build_gpu_trainer.sh without a GPU, CUDA or a torch: what it says of each thing that is missing, what it installs, and how it tries the
result. The tools around it are stand-ins; where a program is linked, compiler, linker and loader are real."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

NVCC = '''#!/bin/sh
case "$*" in
  --version) echo "Cuda compilation tools, release ${NVCC_VERSION:-12.4}, V12.4.131" ;;
  --list-gpu-arch) printf 'compute_80\\ncompute_90\\n' ;;
  *) [ -z "$NVCC_SAYS" ] || { echo "$NVCC_SAYS" >&2; exit 1; } ;;
esac
'''
# Answers what the script asks a python for: cmake's folder, libraries, version, CUDA, ABI.
PYTHON = '''#!/bin/sh
[ -z "$NO_TORCH" ] || { echo "ModuleNotFoundError: No module named 'torch'" >&2; exit 1; }
printf '%s\\n' "$SITE/torch/share/cmake" "$SITE/torch/lib" 2.7.0 "${TORCH_CUDA-12.6}" "${TORCH_ABI:-1}"
'''
# As for the script's small programs: nothing is compiled.
COMPILER = '''#!/bin/sh
case "$*" in
  --version) echo "g++ (stand-in) 12.2.0" ;;
  *-fsyntax-only*) [ -z "$OLD_COMPILER" ] || { echo "a.cc:1: error: unrecognized option -std=c++20" >&2; exit 1; } ;;
  *) [ -z "$OLD_SYSTEM" ] || { echo "error: undefined reference to memcpy@GLIBC_2.36" >&2; exit 1; }
     while [ "$1" != -o ]; do shift; done; printf '#!/bin/sh\\n' >"$2"; chmod +x "$2" ;;
esac
'''
CMAKE = '''#!/usr/bin/env python3
import os, shlex, shutil, subprocess, sys
words = sys.argv[1:]
if words == ['--version']:
    sys.exit(print('cmake version ' + os.environ.get('CMAKE_VERSION', '3.31.2')))
stand_ins = os.environ['STAND_INS']
if words[0] != '--build':
    open(stand_ins + '/configured', 'w').write('\\n'.join(words))
    sys.exit(0)
if os.environ.get('BUILD_FAILS'):
    sys.exit(print('x.cc:7: error: no such type') or 1)
target = words[1] + '/bin/coppice-trainer'
os.makedirs(os.path.dirname(target), exist_ok=True)
if os.path.exists(stand_ins + '/trainer'):
    sys.exit(shutil.copy(stand_ins + '/trainer', target) and 0)
given = dict(w.split('=', 1) for w in open(stand_ins + '/configured').read().split('\\n') if w.startswith('-DCMAKE'))
rpath = ','.join('-rpath,' + each for each in given['-DCMAKE_INSTALL_RPATH'].split(';'))
subprocess.run(['gcc', '-o', target, stand_ins + '/main.c', *shlex.split(given['-DCMAKE_EXE_LINKER_FLAGS']), '-Wl,' + rpath, '-louter'],
               check=True)
'''
TRAINER = '''#!/bin/sh
case "$1" in
  --version) echo "coppice-trainer 0.1.0" ;;
  devices) echo "${DEVICES}" ;;
  *) [ -z "$TRAINING_FAILS" ] || { echo "CUDA error: an illegal memory access" >&2; exit 1; }
     printf '{"event":"start","provenance":{"device":"cuda:0 (NVIDIA H200)"}}\\n{"event":"done","seed":0}\\n{"event":"done","seed":1}\\n' ;;
esac
'''
USABLE = '{"event":"devices","cuda":true,"devices":[{"index":0,"name":"NVIDIA H200","problem":""}],"problem":""}'
NO_GPU = '{"event":"devices","cuda":true,"devices":[],"problem":"no CUDA device is visible here"}'


class BuildGpuTrainerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = os.path.join(self.folder.name, 'a b')  # a path with a space
        self.deps, self.stand_ins, self.out = (os.path.join(self.root, name) for name in ('deps', 'stand_ins', 'the out'))
        self.site = self.root + '/site'
        for folder in ('tree/scripts', 'path', 'cuda/bin', 'cuda/include', 'stand_ins', 'site/torch/lib', 'deps/usr/include/absl',
                       'deps/usr/lib/x86_64-linux-gnu', 'tmp'):
            os.makedirs(os.path.join(self.root, folder))
        for script in ('build_gpu_trainer.sh', 'cuda_trainer.sh', 'cuda_trainer_install.sh'):
            shutil.copy(os.path.join(ROOT, 'scripts', script), self.root + '/tree/scripts')
        open(self.root + '/cuda/include/cusparse.h', 'w').close()
        for name, text in {'path/cmake': CMAKE, 'path/ninja': '#!/bin/sh\n', 'path/g++': COMPILER, 'path/python': PYTHON, 'cuda/bin/nvcc': NVCC,
                           'path/nvidia-smi': '#!/bin/sh\n[ -n "$DRIVER" ] || exit 9\ncase "$*" in *compute_cap*) echo "${CAPABILITY:-9.0}" ;;'
                                              ' *) echo "| CUDA Version: $DRIVER  |" ;; esac\n',
                           'stand_ins/trainer': TRAINER}.items():
            self.write(name, text)

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, 'w') as out:
            out.write(text)
        os.chmod(path, 0o755)

    def read(self, path):
        with open(path) as file:
            return file.read()

    def configured(self):
        return self.read(self.stand_ins + '/configured')

    def run_script(self, *words, **environment):
        """(exit code, stdout, stderr)"""
        base = {key: value for key, value in os.environ.items() if key not in ('CXX', 'CUDA_HOME')}
        base.update(PATH=self.root + '/path:' + os.environ['PATH'], STAND_INS=self.stand_ins, SITE=self.site, TMPDIR=self.root + '/tmp',
                    DEVICES=USABLE, DRIVER='12.8')
        base.update(environment)
        done = subprocess.run([self.root + '/tree/scripts/build_gpu_trainer.sh', *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env=base)
        return done.returncode, done.stdout, done.stderr

    def build(self, *words, **environment):
        return self.run_script('--torch', 'python', '--cuda', self.root + '/cuda', '--deps', self.deps, '--out', self.out, *words, **environment)

    def refusal(self, *words, **environment):
        """What it says of what is missing; nothing is built or installed then."""
        code, out, err = self.build(*words, **environment)
        self.assertEqual(code, 1, out + err)
        self.assertFalse(os.path.exists(self.stand_ins + '/configured'))
        self.assertEqual(os.listdir(self.root + '/tmp'), [])
        return err

    def test_where_all_is_there_it_builds_installs_and_trains(self):
        code, out, err = self.build()
        self.assertEqual(code, 0, err)
        self.assertIn('CUDA 12.4, torch 2.7.0 for CUDA 12.6', out)
        self.assertIn('trained two members for 60 steps on cuda:0 (NVIDIA H200)', out)
        self.assertTrue(os.access(self.out + '/coppice-trainer-cuda', os.X_OK))
        self.assertIn('-DCMAKE_CUDA_ARCHITECTURES=90', self.configured())
        self.assertEqual(os.listdir(self.root + '/tmp'), [])
        self.assertEqual(self.build()[0], 0)  # its own result may be replaced

    def test_check_builds_nothing(self):
        code, out, err = self.build('--check')
        self.assertEqual(code, 0, err)
        self.assertFalse(os.path.exists(self.stand_ins + '/configured'))
        self.assertFalse(os.path.exists(self.out))

    def test_all_that_is_missing_is_said_at_once_each_with_a_remedy(self):
        os.remove(self.root + '/cuda/bin/nvcc')
        err = self.refusal(NO_TORCH='1', CMAKE_VERSION='3.18.4', OLD_COMPILER='1')
        self.assertRegex(err, 'cmake is of version 3.18.4, and 3.25 is needed.*pip install')
        self.assertRegex(err, 'g.. is too old.*unrecognized option.*CXX')
        self.assertRegex(err, 'no nvcc in .*/cuda/bin.*--cuda')
        self.assertRegex(err, "no torch that can be imported.*No module named 'torch'.*pip install torch")

    def test_an_nvcc_newer_than_the_driver_is_refused(self):
        self.assertRegex(self.refusal(NVCC_VERSION='13.0', TORCH_CUDA='13.0'), 'supports CUDA up to 12.8, and .*nvcc is of CUDA 13.0.*--cuda')
        self.assertEqual(self.build(NVCC_VERSION='12.9')[0], 0)  # within a major version a driver is compatible

    def test_an_nvcc_that_refuses_the_compiler_is_quoted(self):
        self.assertRegex(self.refusal(NVCC_SAYS='#error -- unsupported GNU version!'), 'does not work with.*unsupported GNU version.*CXX')

    def test_a_torch_that_does_not_fit_is_refused(self):
        self.assertRegex(self.refusal(TORCH_CUDA=''), 'was built without CUDA.*pip install')
        self.assertRegex(self.refusal(TORCH_ABI='0'), 'old C.. ABI.*torch 2.7')
        self.assertRegex(self.refusal(TORCH_CUDA='11.8'), 'built with CUDA 11.8, and .* of CUDA 12.4.*same first number')

    def test_a_libtorch_folder_is_read(self):
        folder = self.root + '/libtorch'
        os.makedirs(folder + '/share/cmake/Torch')
        os.makedirs(folder + '/lib')
        config = folder + '/share/cmake/Torch/TorchConfig.cmake'
        self.assertRegex(self.refusal('--torch', folder), 'neither a python program')
        open(config, 'w').close()
        self.assertRegex(self.refusal('--torch', folder), 'no libtorch_cuda.so')
        for name in ('libtorch_cuda.so', 'libcudart-9335f6a2.so.12'):
            open(folder + '/lib/' + name, 'w').close()
        with open(config, 'w') as out:
            out.write('set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=0")')
        self.assertRegex(self.refusal('--torch', folder), 'cxx11-abi')
        open(config, 'w').close()
        self.assertRegex(self.refusal('--torch', folder, NVCC_VERSION='13.0', DRIVER=''), 'built with CUDA 12')
        self.assertEqual(self.build('--torch', folder)[0], 0)
        self.assertIn(folder + '/lib', self.configured())

    def test_a_toolkit_without_the_headers_of_torch_is_refused_unless_torch_has_them(self):
        os.remove(self.root + '/cuda/include/cusparse.h')
        self.assertRegex(self.refusal(), 'no cusparse.h')
        os.makedirs(self.site + '/nvidia/cusparse/include')
        open(self.site + '/nvidia/cusparse/include/cusparse.h', 'w').close()
        self.assertEqual(self.build()[0], 0)
        self.assertIn('nvidia/cusparse/include', self.configured())

    def test_an_architecture_that_nvcc_does_not_know_is_refused(self):
        self.assertRegex(self.refusal('--arch', '90,120'), 'not build for compute capability 120, only for 80 90')
        self.assertRegex(self.refusal(CAPABILITY='10.0'), 'compute capability 100')
        self.assertEqual(self.build(DRIVER='')[0], 0)  # no GPU: one of each generation
        self.assertIn('-DCMAKE_CUDA_ARCHITECTURES=all-major', self.configured())

    def test_libraries_that_are_missing_or_too_new_are_refused(self):
        self.assertRegex(self.refusal(OLD_SYSTEM='1'), 'does not build or start here.*GLIBC_2.36.*Debian 12')
        os.rmdir(self.deps + '/usr/include/absl')
        self.assertRegex(self.refusal(), 'does not hold the libraries.*--collect')
        self.deps = ''
        code, _, err = self.run_script('--torch', 'python', '--cuda', self.root + '/cuda', OLD_SYSTEM='1')
        self.assertEqual(code, 1)
        self.assertRegex(err, 'libraries that the trainer needs beside torch are not here.*GLIBC_2.36.*--collect gpu-deps')

    def test_a_program_of_others_is_not_replaced(self):
        os.makedirs(self.out)
        with open(self.out + '/coppice-trainer-cuda', 'w') as out:
            out.write('mine')
        self.assertRegex(self.refusal(), 'has not made.*--out')
        self.assertEqual(self.read(self.out + '/coppice-trainer-cuda'), 'mine')

    def test_wrong_use_is_told(self):
        for words in ([], ['--torch'], ['--torch', 'python', '--arch', 'hopper'], ['--bogus']):
            self.assertEqual(self.run_script(*words)[0], 2, words)

    def test_a_build_that_fails_quotes_the_compiler_and_installs_nothing(self):
        code, _, err = self.build(BUILD_FAILS='1')
        self.assertEqual(code, 1)
        self.assertIn('error: no such type', err)
        self.assertFalse(os.path.exists(self.out))

    def test_without_a_gpu_the_result_is_kept_and_the_code_is_3(self):
        code, _, err = self.build(DEVICES=NO_GPU)
        self.assertEqual(code, 3)
        self.assertIn('not tried on a GPU: no CUDA device is visible here', err)
        self.assertTrue(os.path.exists(self.out + '/coppice-trainer-cuda'))

    def test_a_result_that_does_not_train_on_the_gpu_gives_4(self):
        code, _, err = self.build(TRAINING_FAILS='1')
        self.assertEqual(code, 4)
        self.assertIn('an illegal memory access', err)
        code, _, err = self.build(DEVICES='{"cuda":false,"devices":[],"problem":"this trainer was built without CUDA"}')
        self.assertEqual(code, 4)
        self.assertIn('was built without CUDA', err)

    # As Abseil: the program needs `outer`, which needs `inner`, and neither says where the other lies.
    def test_the_collected_libraries_go_along_with_the_result(self):
        os.remove(self.stand_ins + '/trainer')
        libraries = self.deps + '/usr/lib/x86_64-linux-gnu'
        sources = {'inner.c': 'int inner(void) { return 0; }', 'outer.c': 'int inner(void); int outer(void) { return inner(); }',
                   'main.c': '#include <stdio.h>\nint outer(void);\nint main(void) { puts(%s); return outer(); }' %
                             ('"' + NO_GPU.replace('"', '\\"') + '"')}
        for name, text in sources.items():
            self.write('stand_ins/' + name, text)
        for name, needs in (('inner', []), ('outer', ['-linner'])):
            subprocess.run(['gcc', '-shared', '-fPIC', '-o', '%s/lib%s.so' % (libraries, name), '%s/%s.c' % (self.stand_ins, name),
                            '-L' + libraries, *needs], check=True)
        code, _, err = self.build()
        self.assertEqual(code, 3, err)
        shutil.rmtree(self.deps)
        os.rename(self.out, self.root + '/elsewhere')
        self.assertEqual(subprocess.run([self.root + '/elsewhere/coppice-trainer-cuda'], stdout=subprocess.DEVNULL).returncode, 0)


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], '-v'])
