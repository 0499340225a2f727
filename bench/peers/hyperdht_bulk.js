// hyperdht's ends of the UDP benchmark: `node hyperdht_bulk.js serve` or `… send PORT KEY BYTES`.
//
// A DHT of two nodes on loopback; one encrypted stream, its own defaults.  The sender prints what the receiver counted,
// and when it began and knew it, by the clock of Python's time.monotonic.
const path = require('node:path')
const { createRequire } = require('node:module')

const home = path.join(__dirname, '..', '..', '.venv-bench', 'node_modules', 'x.js')
const DHT = createRequire(home)('hyperdht')

const CHUNK = Buffer.alloc(256 * 1024)
const now = () => Number(process.hrtime.bigint()) / 1e9
const node = (bootstrap) => new DHT({ ephemeral: false, firewalled: false, bootstrap, host: '127.0.0.1' })

async function serve () {
  const first = node([])
  await first.fullyBootstrapped()
  const { port } = first.address()
  const second = node([{ host: '127.0.0.1', port }])
  await second.fullyBootstrapped()
  const server = second.createServer((socket) => {
    let total = 0
    socket.on('error', () => {})
    socket.on('data', (chunk) => { total += chunk.length })
    socket.on('end', () => socket.end(String(total)))
  })
  const keys = DHT.keyPair()
  await server.listen(keys)
  console.log(port, keys.publicKey.toString('hex'))
}

async function send (port, key, nbytes) {
  const own = node([{ host: '127.0.0.1', port: Number(port) }])
  await own.fullyBootstrapped()
  const socket = own.connect(Buffer.from(key, 'hex'))
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
  let answer = ''
  socket.on('data', (chunk) => { answer += chunk })
  const ended = new Promise((resolve) => socket.on('end', resolve))
  const beganAt = now()
  for (let left = Number(nbytes); left > 0; left -= CHUNK.length) {
    if (!socket.write(CHUNK)) await new Promise((resolve) => socket.once('drain', resolve))
  }
  socket.end()
  await ended
  const endedAt = now()
  console.log(answer, beganAt, endedAt)
  process.exit(0)
}

const [, , end, ...words] = process.argv
if (end === 'serve') serve()
else send(...words)
