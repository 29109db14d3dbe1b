"""The manifests keep the rules of policy.py, and Kubernetes' schemas know every field.

    kubernetes_test.py ROOT BIN

Skipped where kubectl is missing. The schemas are those of npm's kubernetes-models; COPPICE_KUBERNETES_MODELS names the
folder into which npm installed them and @kubernetes-models/keda.
"""
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from manifests import KUBECTL, arguments, pods, render
from policy import SECRETS, faults

ROOT, BIN = sys.argv[1:3]
FOLDER = os.path.join(ROOT, 'deploy', 'kubernetes')
OVERLAYS = sorted(name for name in os.listdir(FOLDER) if os.path.isdir(os.path.join(FOLDER, name)))
MODELS = os.environ.get('COPPICE_KUBERNETES_MODELS', '')
needs_kubectl = unittest.skipUnless(KUBECTL, 'kubectl is missing')


@needs_kubectl
class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.objects = {name: render(os.path.join(FOLDER, name)) for name in OVERLAYS}

    def test_every_overlay_keeps_the_rules(self):
        for name, objects in self.objects.items():
            self.assertEqual(faults(objects), [], name)
            self.assertGreaterEqual(len(list(pods(objects))), 2, name)

    def test_programs_take_the_flags_of_their_containers(self):
        helps = {}
        for name, objects in self.objects.items():
            for _, spec in pods(objects):
                for container in spec['containers']:
                    words = ' '.join(arguments(container)).split()
                    program = next(word for word in words if word.startswith('coppice-'))
                    if program not in helps:
                        helps[program] = subprocess.run([os.path.join(BIN, program), '--help'], check=True, text=True,
                                                        stdout=subprocess.PIPE, env={'HOME': '/nonexistent'}).stdout
                    for flag in [word.split('=')[0] for word in words if word.startswith('--')]:
                        self.assertRegex(helps[program], rf'(?m)^ *{flag}\b', f'{name}: {program}')

    def test_the_guide_makes_the_secrets_that_pods_mount(self):
        with open(os.path.join(ROOT, 'docs', 'kubernetes.md'), encoding='utf-8') as file:
            text = file.read().replace('\\\n', ' ')
        for secret, names in SECRETS.items():
            command = re.search(rf'create secret generic {secret} (.*)', text).group(1)
            self.assertEqual(set(re.findall(r'--from-file=\S*/(\S+)', command)), names, secret)

    def test_the_folder_of_the_guide_names_its_images(self):
        with open(os.path.join(ROOT, 'docs', 'kubernetes.md'), encoding='utf-8') as file:
            text = re.search(r"<<'END'\n(.*?)END\n", file.read(), re.S).group(1)
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(FOLDER, os.path.join(folder, 'deploy', 'kubernetes'))
            os.mkdir(os.path.join(folder, 'my-cluster'))
            with open(os.path.join(folder, 'my-cluster', 'kustomization.yaml'), 'w', encoding='utf-8') as file:
                file.write(text.replace('YOUR-REGISTRY', 'lab.example'))
            objects = render(os.path.join(folder, 'my-cluster'))
        images = {item['metadata']['name']: spec['containers'][0]['image'] for item, spec in pods(objects)}
        self.assertEqual(images, {'coppice-coordinator': 'lab.example/coppice:0.1.0',
                                  'coppice-worker': 'lab.example/coppice-gpu:0.1.0'})

    def check_schemas(self, objects):
        return subprocess.run(['node', os.path.join(ROOT, 'tests', 'deploy', 'schemas.cjs'), os.path.abspath(MODELS)],
                              input=json.dumps(objects), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    @unittest.skipUnless(MODELS and shutil.which('node'), 'COPPICE_KUBERNETES_MODELS names no folder, or node is missing')
    def test_kubernetes_knows_every_field(self):
        for name, objects in self.objects.items():
            done = self.check_schemas(objects)
            self.assertEqual((done.returncode, done.stdout), (0, ''), name)
        for key, value, fault in (('terminationGracePeriod', 30, 'terminationGracePeriod is unknown'),
                                  ('terminationGracePeriodSeconds', 'soon', 'terminationGracePeriodSeconds')):
            broken = copy.deepcopy(self.objects['base'])
            next(pods(broken))[1][key] = value
            done = self.check_schemas(broken)
            self.assertEqual(done.returncode, 1, key)
            self.assertIn(fault, done.stdout)


@needs_kubectl
class Rules(unittest.TestCase):
    """Each rule finds its fault."""

    @classmethod
    def setUpClass(cls):
        cls.folders = {name: render(os.path.join(FOLDER, name)) for name in ('base', 'keda')}

    def check(self, expected, change, folder='base'):
        objects = copy.deepcopy(self.folders[folder])
        found = {item['metadata']['name']: (item, spec) for item, spec in pods(objects)}
        change(found['coppice-coordinator'][1], found['coppice-worker'][1], objects)
        self.assertTrue(any(expected in fault for fault in faults(objects)), (expected, faults(objects)))

    def test_open_pods(self):
        self.check('may run as root', lambda c, w, o: w['securityContext'].update(runAsNonRoot=False))
        self.check('seccomp', lambda c, w, o: c['securityContext'].pop('seccompProfile'))
        self.check('writes to its root', lambda c, w, o: w['containers'][0]['securityContext'].pop('readOnlyRootFilesystem'))
        self.check('keeps capabilities', lambda c, w, o: w['containers'][0]['securityContext'].pop('capabilities'))
        self.check('more rights', lambda c, w, o: c['containers'][0]['securityContext'].pop('allowPrivilegeEscalation'))
        self.check('token of the cluster', lambda c, w, o: w.pop('automountServiceAccountToken'))
        self.check('no version', lambda c, w, o: w['containers'][0].update(image='coppice:latest'))
        self.check('folder of the node', lambda c, w, o: w['volumes'].append({'name': 'n', 'hostPath': {'path': '/'}}))

    def test_unbounded_pods(self):
        self.check('no limit of memory', lambda c, w, o: w['containers'][0]['resources']['limits'].pop('memory'))
        self.check('requests no cpu', lambda c, w, o: c['containers'][0]['resources']['requests'].pop('cpu'))
        self.check('fill the node', lambda c, w, o: w['volumes'][0]['emptyDir'].pop('sizeLimit'))
        self.check('no livenessProbe', lambda c, w, o: c['containers'][0].pop('livenessProbe'))

    def test_a_grace_that_is_cut_off(self):
        self.check('is killed before', lambda c, w, o: w.update(terminationGracePeriodSeconds=60))
        self.check('is killed before', lambda c, w, o: w['containers'][0].update(
            lifecycle={'preStop': {'sleep': {'seconds': 40}}}))

    def test_names_that_lead_nowhere(self):
        self.check('is made nowhere', lambda c, w, o: w['volumes'].append({'name': 's', 'secret': {'secretName': 'other'}}))
        self.check('has no worker2.token', lambda c, w, o: w['containers'][0]['args'].append(
            '--token-file=/etc/coppice/access/worker2.token'))
        self.check('is on no volume', lambda c, w, o: w['containers'][0]['args'].append('--state-dir=/srv/state'))
        self.check('nothing is mounted', lambda c, w, o: w['volumes'].pop(0))
        self.check('its Service is missing', lambda c, w, o: o.remove(next(i for i in o if i['kind'] == 'Service')))
        self.check('secret into the environment', lambda c, w, o: w['containers'][0]['env'].append(
            {'name': 'T', 'valueFrom': {'secretKeyRef': {'name': 'coppice-worker', 'key': 'worker.token'}}}))

    def test_a_scaler_that_asks_nobody(self):
        def changed(kind, change):
            return lambda c, w, o: change(next(item for item in o if item['kind'] == kind)['spec'])
        self.check('scalerAddress names no Service', changed(
            'ScaledJob', lambda spec: spec['triggers'][0]['metadata'].update(scalerAddress='other:1')), 'keda')
        self.check('has no ca.pem', changed(
            'TriggerAuthentication', lambda spec: spec['secretTargetRef'][0].update(key='ca.pem')), 'keda')
        self.check('no coordinator answers KEDA', lambda c, w, o: c['containers'][0]['args'].remove('--keda-scaler'), 'keda')

    def test_an_open_network(self):
        def without(name):
            return lambda c, w, o: o.remove(next(i for i in o if i['kind'] == 'NetworkPolicy' and
                                                 i['metadata']['name'] == name))
        self.check('denies by default', without('coppice-default-deny'))
        self.check('whom it may reach', without('coppice-worker'))
        self.check('are open', lambda c, w, o: c['containers'][0]['args'].append('--listen=0.0.0.0:7071') or
                   c['containers'][0]['args'].remove('--listen=0.0.0.0:7070'))


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
