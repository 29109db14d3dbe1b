// Checks objects (a JSON list on standard input) against the schemas of npm's kubernetes-models.
//
//   schemas.cjs FOLDER     where npm installed kubernetes-models and @kubernetes-models/keda
//
// Prints one line a fault; exit code 1 when there are any.
'use strict';
const fs = require('fs');

const folder = process.argv[2];

function modelOf(object) {
  const name = object.apiVersion.startsWith('keda.sh/') ? '@kubernetes-models/keda' : 'kubernetes-models';
  const module = require(require.resolve(`${name}/${object.apiVersion}`, {paths: [folder]}));
  return module[object.kind];
}

// The schemas allow unknown fields, and a checker reads only those that it knows. So a field that it never reads is unknown.
// `unread` holds the path of each field until it is read.
function watched(value, path, unread) {
  if (value === null || typeof value !== 'object') return value;
  const inner = Array.isArray(value) ? [] : {};
  for (const key of Object.keys(value)) {
    if (!Array.isArray(value)) unread.add(`${path}.${key}`);
    inner[key] = watched(value[key], `${path}.${key}`, unread);
  }
  return new Proxy(inner, {
    get(target, key) {
      unread.delete(`${path}.${String(key)}`);
      return target[key];
    },
  });
}

function report(object, text) {
  console.log(`${object.kind} ${object.metadata.name}: ${text}`);
  process.exitCode = 1;
}

for (const object of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  const Model = modelOf(object);
  const model = new Model(object);
  const unread = new Set();
  for (const key of ['metadata', 'spec', 'data']) {
    if (key in object) model[key] = watched(object[key], key, unread);
  }
  try {
    model.validate();
    // Nothing below an unknown field is read, either. KEDA's schema says nothing about the metadata of a Job's pods.
    for (const field of unread) {
      if (field.includes('jobTargetRef.template.metadata.')) continue;
      if (!unread.has(field.replace(/\.[^.]*$/, ''))) report(object, `the field ${field} is unknown`);
    }
  } catch (error) {
    report(object, error.message);
  }
}
