"""The rules that the manifests of deploy/kubernetes keep. Each yields one line a fault."""
from manifests import arguments, flag, labels_of, pods, seconds

# What docs/kubernetes.md tells a user to make.
SECRETS = {
    'coppice-coordinator': {'server-cert.pem', 'server-key.pem', 'ca-cert.pem', 'tokens', 'viewer.token',
                            'client-cert.pem', 'client-key.pem'},
    'coppice-worker': {'ca-cert.pem', 'client-cert.pem', 'client-key.pem', 'worker.token'},
}
# For the last reports, once the trainers have ended.
REPORT_SECONDS = 5


def closed_pods(objects):
    for item, spec in pods(objects):
        name = item['metadata']['name']
        context = spec.get('securityContext', {})
        if context.get('runAsNonRoot') is not True or not context.get('runAsUser'):
            yield f'{name}: may run as root'
        if context.get('seccompProfile', {}).get('type') != 'RuntimeDefault':
            yield f'{name}: has no seccomp profile'
        if spec.get('automountServiceAccountToken') is not False:
            yield f'{name}: holds a token of the cluster'
        for key in ('hostNetwork', 'hostPID', 'hostIPC'):
            if spec.get(key):
                yield f'{name}: {key}'
        for volume in spec.get('volumes', ()):
            if 'hostPath' in volume:
                yield f'{name}: {volume["name"]} is a folder of the node'
        for container in spec['containers'] + spec.get('initContainers', []):
            own = container.get('securityContext', {})
            if own.get('readOnlyRootFilesystem') is not True:
                yield f'{name}: writes to its root file system'
            if own.get('allowPrivilegeEscalation') is not False or own.get('privileged'):
                yield f'{name}: may get more rights'
            if own.get('capabilities', {}).get('drop') != ['ALL'] or own.get('capabilities', {}).get('add'):
                yield f'{name}: keeps capabilities'
            if ':' not in container['image'] or container['image'].endswith(':latest'):
                yield f'{name}: the image {container["image"]} has no version'


def resources(objects):
    for item, spec in pods(objects):
        name = item['metadata']['name']
        for container in spec['containers']:
            given = container.get('resources', {})
            for key in ('cpu', 'memory'):
                if key not in given.get('requests', {}):
                    yield f'{name}: requests no {key}'
            if 'memory' not in given.get('limits', {}):
                yield f'{name}: has no limit of memory'
        for volume in spec.get('volumes', ()):
            if 'emptyDir' in volume and 'sizeLimit' not in volume['emptyDir']:
                yield f'{name}: {volume["name"]} may fill the node\'s disk'


def probes(objects):
    for item, spec in pods(objects):
        if item['kind'] != 'StatefulSet':
            continue
        for container in spec['containers']:
            for probe in ('startupProbe', 'readinessProbe', 'livenessProbe'):
                if probe not in container:
                    yield f'{item["metadata"]["name"]}: has no {probe}'


def ends_in_time(objects):
    """A worker's grace, a preStop hook and the last reports fit in what Kubernetes waits."""
    for item, spec in pods(objects):
        for container in spec['containers']:
            grace = flag(arguments(container), '--grace')
            if grace is None:
                continue
            hook = container.get('lifecycle', {}).get('preStop', {}).get('sleep', {}).get('seconds', 0)
            needed = seconds(grace) + hook + REPORT_SECONDS
            if needed > spec.get('terminationGracePeriodSeconds', 30):
                yield f'{item["metadata"]["name"]}: needs {needed} s to end and is killed before'


def mounts(objects):
    """Every volume is there, every mounted file is in its Secret, and every written folder is on a volume."""
    for item, spec in pods(objects):
        name = item['metadata']['name']
        volumes = {volume['name']: volume for volume in spec.get('volumes', ())}
        for claim in item['spec'].get('volumeClaimTemplates', ()):
            volumes[claim['metadata']['name']] = claim
        for container in spec['containers']:
            places = {mount['mountPath']: volumes.get(mount['name']) for mount in container.get('volumeMounts', ())}
            for place, volume in places.items():
                if volume is None:
                    yield f'{name}: nothing is mounted at {place}'
            words = [word.split('=', 1)[1] for word in arguments(container) if word.startswith('--') and '=' in word]
            words += [entry.get('value', '') for entry in container.get('env', ())]
            for path in [word for word in words if word.startswith('/')]:
                place = max((place for place in places if path == place or path.startswith(place + '/')), key=len, default=None)
                if place is None:
                    yield f'{name}: {path} is on no volume'
                    continue
                secret = (places[place] or {}).get('secret')
                if secret and path != place and path[len(place) + 1:] not in SECRETS.get(secret['secretName'], ()):
                    yield f'{name}: the Secret {secret["secretName"]} has no {path[len(place) + 1:]}'


def references(objects):
    """What an object names exists: Secrets by the guide, Services and selectors by the manifests."""
    services = {item['metadata']['name']: item for item in objects if item['kind'] == 'Service'}
    labels = [labels_of(item) for item, _ in pods(objects)]

    def selects(selector):
        return any(selector.items() <= found.items() for found in labels)

    for item, spec in pods(objects):
        name = item['metadata']['name']
        for volume in spec.get('volumes', ()):
            if 'secret' in volume and volume['secret']['secretName'] not in SECRETS:
                yield f'{name}: the Secret {volume["secret"]["secretName"]} is made nowhere'
            if 'configMap' in volume:
                yield f'{name}: the ConfigMap {volume["configMap"]["name"]} is made nowhere'
        if item['spec'].get('serviceName', 'coppice-coordinator') not in services:
            yield f'{name}: its Service is missing'
        for container in spec['containers']:
            for entry in container.get('env', ()):
                if 'valueFrom' in entry and 'secretKeyRef' in entry['valueFrom']:
                    yield f'{name}: {entry["name"]} puts a secret into the environment'
            host = (flag(arguments(container), '--coordinator') or 'coppice-coordinator').split(':')[0]
            if host not in services:
                yield f'{name}: --coordinator names no Service'
    for item in objects:
        name = f'{item["kind"]} {item["metadata"]["name"]}'
        spec = item.get('spec', {})
        if item['kind'] == 'Service' and not selects(spec['selector']):
            yield f'{name}: selects no pod'
        if item['kind'] == 'PodDisruptionBudget' and not selects(spec['selector']['matchLabels']):
            yield f'{name}: selects no pod'
        if item['kind'] == 'NetworkPolicy' and not selects(spec['podSelector'].get('matchLabels', {})):
            yield f'{name}: selects no pod'
        if item['kind'] not in ('Namespace',) and item['metadata'].get('namespace') != 'coppice':
            yield f'{name}: is in another namespace'
        if item['kind'] == 'Secret':
            yield f'{name}: a secret is in the tree'


def scalers(objects):
    """KEDA finds the coordinator, and a certificate to show."""
    services = {f'{item["metadata"]["name"]}.coppice.svc:{port["port"]}' for item in objects if item['kind'] == 'Service'
                for port in item['spec']['ports']}
    authentications = {item['metadata']['name'] for item in objects if item['kind'] == 'TriggerAuthentication'}
    for item in objects:
        name = f'{item["kind"]} {item["metadata"]["name"]}'
        if item['kind'] == 'TriggerAuthentication':
            for reference in item['spec']['secretTargetRef']:
                if reference['key'] not in SECRETS.get(reference['name'], ()):
                    yield f'{name}: the Secret {reference["name"]} has no {reference["key"]}'
        if item['kind'] == 'ScaledJob':
            for trigger in item['spec']['triggers']:
                if trigger['metadata']['scalerAddress'] not in services:
                    yield f'{name}: scalerAddress names no Service'
                if trigger['authenticationRef']['name'] not in authentications:
                    yield f'{name}: its TriggerAuthentication is missing'
            asked = [words for _, spec in pods(objects) for words in [arguments(spec['containers'][0])]
                     if '--keda-scaler' in words]
            if not asked:
                yield f'{name}: no coordinator answers KEDA (--keda-scaler)'


def network(objects):
    """Every pod is denied what no policy names, and the coordinator's port is the Service's."""
    policies = [item['spec'] for item in objects if item['kind'] == 'NetworkPolicy']
    if not any(policy['podSelector'] == {} and set(policy['policyTypes']) == {'Ingress', 'Egress'} and
               not policy.get('ingress') and not policy.get('egress') for policy in policies):
        yield 'no policy denies by default'
    for item, spec in pods(objects):
        own = [policy for policy in policies
               if policy['podSelector'] and policy['podSelector']['matchLabels'].items() <= labels_of(item).items()]
        if not own:
            yield f'{item["metadata"]["name"]}: no policy says whom it may reach'
        listen = flag(arguments(spec['containers'][0]), '--listen')
        if listen is not None:
            opened = {port['port'] for policy in own for rule in policy.get('ingress', ()) for port in rule['ports']}
            if opened != {int(listen.rsplit(':', 1)[1])}:
                yield f'{item["metadata"]["name"]}: listens on {listen}, and {sorted(opened)} are open'


RULES = (closed_pods, resources, probes, ends_in_time, mounts, references, scalers, network)


def faults(objects):
    return [fault for rule in RULES for fault in rule(objects)]
