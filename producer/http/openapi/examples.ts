/** Examples of what is sent and answered, for the description of the interface. */
export const examples = {
  createJail: {
    name: 'web1',
    client: 'acme',
    clientName: 'Acme GmbH',
    world: 'debian-12',
    limits: { memory: '512M', cpu: 0.5, processes: 200 },
    labels: { tier: 'gold' },
  },
  createBatch: { name: 'spring', maxInFlight: 50, canary: 10, jails: [{ name: 'web1', client: 'acme', world: 'debian-12' }] },
  problem: {
    type: 'about:blank',
    title: 'Bad Request',
    status: 400,
    code: 'invalid_request',
    detail: 'The request is not right: world: is required.',
    hint: 'Correct the named fields and send the request again.',
    errors: [{ field: 'world', message: 'is required' }],
  },
  csv: 'name,client,clientName,world,memory\nweb1,acme,Acme GmbH,debian-12,512M\n',
  ndjson: '{"name":"web1","client":"acme","world":"debian-12"}\n',
  operationEvents:
    'id: 42\nevent: operation\ndata: {"id":"019ab2c3-7f1e-7000-8000-00c0ffee0001","status":"running","percent":40}\n\n',
  fleetEvents:
    'id: 42\nevent: jail\ndata: {"name":"web1","state":"running"}\n\nid: 43\nevent: host\ndata: {"id":"h1","removed":true}\n\n',
  log: '[clone-root] mount -t overlay …\n[start-jail] runc run --detach web1\n',
  report:
    'line,name,client,world,state,host,addresses,attempts,seconds,code,error,operation\n' +
    '2,web1,acme,debian-12,succeeded,host1,10.20.0.10/22,1,1.2,,,019ab2c3-7f1e-7000-8000-00c0ffee0001\n',
  metrics: '# TYPE provost_jails gauge\nprovost_jails{state="running"} 12\n',
}
