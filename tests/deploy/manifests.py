"""Reads what `kubectl kustomize` makes of a folder of deploy/kubernetes."""
import json
import re
import shutil
import subprocess

KUBECTL = shutil.which('kubectl')
PODS = ('Deployment', 'StatefulSet', 'Job')


def render(folder):
    """The objects of a folder, as Kubernetes would get them. No cluster is asked."""
    text = subprocess.run([KUBECTL, 'kustomize', folder], check=True, stdout=subprocess.PIPE).stdout
    # `annotate --local` is kubectl's way from YAML to JSON.
    text = subprocess.run([KUBECTL, 'annotate', '--local', '-f', '-', 'read=yes', '-o', 'json'], input=text, check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    objects, decoder, at = [], json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        objects.append(value)
    return objects


def pods(objects):
    """(object, its pods' spec)."""
    for item in objects:
        if item['kind'] in PODS:
            yield item, item['spec']['template']['spec']
        elif item['kind'] == 'ScaledJob':
            yield item, item['spec']['jobTargetRef']['template']['spec']


def labels_of(item):
    template = item['spec']['jobTargetRef'] if item['kind'] == 'ScaledJob' else item['spec']
    return template['template']['metadata']['labels']


def arguments(container):
    """The command line, with $(NAME) replaced as Kubernetes does it."""
    values = {entry['name']: entry.get('value', f"<{entry['name']}>") for entry in container.get('env', ())}
    words = container.get('command', []) + container.get('args', [])
    return [re.sub(r'\$\((\w+)\)', lambda match: values.get(match.group(1), match.group(0)), word) for word in words]


def flag(words, name):
    """The value of --name=VALUE; None without it."""
    return next((word.split('=', 1)[1] for word in words if word.startswith(name + '=')), None)


def seconds(text):
    """A duration as the programs take it: 90s, 1m, 1m30s."""
    units = {'h': 3600, 'm': 60, 's': 1}
    if not re.fullmatch(r'(\d+[hms])+', text):
        raise ValueError(f'{text} is no duration')
    return sum(int(number) * units[unit] for number, unit in re.findall(r'(\d+)([hms])', text))
