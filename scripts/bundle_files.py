#!/usr/bin/env python3
"""Turns an installed Coppice into a folder that needs nothing of a Linux system but its kernel (scripts/bundle.sh calls it).

    bundle_files.py --installed FOLDER --launcher FILE --out FOLDER

FOLDER is what `cmake --install` has written. --out is made; it must not be there yet. What it holds:

    bin/NAME                    the launcher, once for each program (common/launcher)
    lib/coppice/                the programs, every library that they load, and the loader
    share/                      what was installed beside the programs
    share/licenses/             what each library's Debian package says of its licence, and packages.txt: which files it gave
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

from elf_file import ElfFile

PROGRAMS = ('coppice', 'coppice-coordinator', 'coppice-worker', 'coppice-trainer')
LOADER = 'ld-linux-x86-64.so.2'
# The C library loads these by name when a program asks for users or hosts, and for a thread's end.
LOADED_LATER = ('libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2', 'libgcc_s.so.1')
# Debian links LibTorch 1.13 with libraries of which it uses nothing: OpenCV, FFmpeg, and what they load, 290 MB.
MAY_HAVE_UNUSED = re.compile(r'^libtorch_cpu\.so')


class Wrong(Exception):
    pass


def output_of(*command):
    # ldd says with its exit code that a library has unused dependencies; what is missing stands in its output.
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, 'LC_ALL': 'C'}).stdout


def libraries_of(program):
    """name -> path of every library that a program loads on this machine, and the loader's path."""
    found = {}
    loader = None
    for line in output_of('ldd', program).splitlines():
        words = line.split()
        if 'not found' in line:
            raise Wrong(f'{program} needs {words[0]}, which this machine does not have; install it (deploy/install.sh --run)')
        if len(words) >= 3 and words[1] == '=>':
            found[words[0]] = words[2]
        elif words and words[0].startswith('/') and os.path.basename(words[0]) == LOADER:
            loader = words[0]
    if loader is None:
        raise Wrong(f'ldd does not name a loader for {program}; is it a program for x86-64 Linux that loads libraries?')
    return found, loader


def unused_of(path):
    if not MAY_HAVE_UNUSED.match(os.path.basename(path)):
        return set()
    return {os.path.basename(line.strip()) for line in output_of('ldd', '-u', path).splitlines() if line.startswith('\t')}


def closure(programs):
    """name -> (path, names of dependencies that it does not use) of every library that the programs load."""
    paths = {}
    for program in programs:
        found, loader = libraries_of(program)
        paths.update(found)
    paths[LOADER] = loader
    beside_libc = os.path.dirname(os.path.realpath(paths['libc.so.6']))
    wanted = [name for program in programs for name in ElfFile(program).needed()]
    for name in LOADED_LATER:
        if name not in paths and os.path.exists(os.path.join(beside_libc, name)):
            paths[name] = os.path.join(beside_libc, name)
        if name in paths:
            wanted.append(name)
    taken = {LOADER: (paths[LOADER], set())}
    while wanted:
        name = wanted.pop()
        if name in taken:
            continue
        if name not in paths:
            raise Wrong(f'ldd did not find {name}')
        unused = unused_of(paths[name])
        taken[name] = (paths[name], unused)
        wanted += [other for other in ElfFile(paths[name]).needed() if other not in unused]
    return taken


def owners(paths):
    """path -> Debian package, for the paths that a package owns."""
    asked = {}
    for path in paths:
        real = os.path.realpath(path)
        # A package may know a file by its path from before /lib was a link to /usr/lib.
        for name in {real, real[4:] if real.startswith('/usr/') else '/usr' + real}:
            asked[name] = path
    owner = {}
    for line in output_of('dpkg-query', '-S', *sorted(asked)).splitlines():
        package, _, path = line.partition(': ')
        if path in asked:
            owner[asked[path]] = package.split(',')[0]
    return owner


def write_licenses(taken, folder):
    owner = owners([path for path, _ in taken.values()])
    files = {}
    for name, (path, _) in sorted(taken.items()):
        files.setdefault(owner.get(path), []).append(name)
    lines = []
    for package in sorted(p for p in files if p is not None):
        version, source = output_of('dpkg-query', '-W', '-f', '${Version}\t${source:Package} ${source:Version}', package).split('\t')
        plain = package.split(':')[0]
        text = os.path.join('/usr/share/doc', plain, 'copyright')
        if not os.path.exists(text):
            raise Wrong(f'{text} is missing, so nothing can be said of the licence of {files[package]}; install {package} again')
        os.makedirs(os.path.join(folder, plain))
        shutil.copyfile(text, os.path.join(folder, plain, 'copyright'))
        lines.append(f'{plain} {version} (source: {source.strip()}): {" ".join(files[package])}\n')
    for name in files.get(None, []):
        print(f'bundle: warning: no package owns {taken[name][0]}; put its licence into {folder} before you pass the bundle on', file=sys.stderr)
        lines.append(f'not of a package: {name}\n')
    shutil.copytree('/usr/share/common-licenses', os.path.join(folder, 'common-licenses'), symlinks=True)
    with open(os.path.join(folder, 'packages.txt'), 'w', encoding='utf-8') as out:
        out.writelines(lines)


def bundle(installed, launcher, out):
    programs = [os.path.join(installed, 'bin', name) for name in PROGRAMS]
    for path in programs + [launcher]:
        if not os.path.exists(path):
            raise Wrong(f'there is no {path}; build the targets binaries and coppice-launcher')
    taken = closure(programs)
    libraries = os.path.join(out, 'lib', 'coppice')
    os.makedirs(libraries)
    os.makedirs(os.path.join(out, 'bin'))
    for name, path in zip(PROGRAMS, programs):
        shutil.copyfile(path, os.path.join(libraries, name))
        os.chmod(os.path.join(libraries, name), 0o755)
        shutil.copyfile(launcher, os.path.join(out, 'bin', name))
        os.chmod(os.path.join(out, 'bin', name), 0o755)
    for name, (path, unused) in taken.items():
        target = os.path.join(libraries, name)
        shutil.copyfile(path, target)
        os.chmod(target, 0o755 if name == LOADER else 0o644)
        if unused:
            ElfFile(target).remove_needed(unused)
    shutil.copytree(os.path.join(installed, 'share'), os.path.join(out, 'share'))
    licenses = os.path.join(out, 'share', 'licenses')
    os.makedirs(licenses)
    write_licenses(taken, licenses)
    return len(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for flag in ('--installed', '--launcher', '--out'):
        parser.add_argument(flag, required=True)
    arguments = parser.parse_args()
    try:
        count = bundle(arguments.installed, arguments.launcher, arguments.out)
    except (Wrong, OSError, ValueError) as error:
        sys.exit(f'bundle: {error}')
    print(f'bundle: {len(PROGRAMS)} programs, {count} libraries')


if __name__ == '__main__':
    main()
