// hyperdht's ends of the UDP benchmark: `node hyperdht_bulk.js serve BYTES` or `… send BYTES PORT KEY`.
//
// A DHT of two nodes on loopback; one encrypted stream, its own defaults.  The sender prints what the receiver says: the
// bytes that arrived and the seconds of its best lap.
const path = require('node:path')
const { createRequire } = require('node:module')

const home = path.join(__dirname, '..', '..', '.venv-bench', 'node_modules', 'x.js')
const DHT = createRequire(home)('hyperdht')

const CHUNK = Buffer.alloc(256 * 1024)
const now = () => Number(process.hrtime.bigint()) / 1e9
const node = (bootstrap) => new DHT({ ephemeral: false, firewalled: false, bootstrap, host: '127.0.0.1' })

async function serve (nbytes) {
  const lap = Number(nbytes) / 8
  const first = node([])
  await first.fullyBootstrapped()
  const { port } = first.address()
  const second = node([{ host: '127.0.0.1', port }])
  await second.fullyBootstrapped()
  const server = second.createServer((socket) => {
    let total = 0
    let next = lap
    let lapAt = 0
    let best = Infinity
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      total += chunk.length
      if (total < next) return
      next += lap
      const at = now()
      if (lapAt) best = Math.min(best, at - lapAt) // without the first, in which the connection gets under way
      lapAt = at
    })
    socket.on('end', () => socket.end(`${total} ${best}`))
  })
  const keys = DHT.keyPair()
  await server.listen(keys)
  console.log(port, keys.publicKey.toString('hex'))
}

async function send (nbytes, port, key) {
  const own = node([{ host: '127.0.0.1', port: Number(port) }])
  await own.fullyBootstrapped()
  const socket = own.connect(Buffer.from(key, 'hex'))
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
  let answer = ''
  socket.on('data', (chunk) => { answer += chunk })
  const ended = new Promise((resolve) => socket.on('end', resolve))
  for (let left = Number(nbytes); left > 0; left -= CHUNK.length) {
    if (!socket.write(CHUNK)) await new Promise((resolve) => socket.once('drain', resolve))
  }
  socket.end()
  await ended
  console.log(answer)
  process.exit(0)
}

const [, , end, ...words] = process.argv
if (end === 'serve') serve(...words)
else send(...words)
