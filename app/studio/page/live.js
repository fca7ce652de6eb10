// The live picture: one WebSocket with binary messages, as app/studio/live.py describes them.
// It comes back by itself, says what it has, and answers for what it has shown.

const PICTURE = 1;
const SOUND = 2;
const STATE = 3;
const LONGEST_WAIT = 5000; // milliseconds between two tries

export function watch({ onPicture, onSound, onState, onConnection }) {
  let channel = null;
  let have = 0;
  let wait = 250;

  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    let turn = Promise.resolve(); // messages are handled one after another
    socket.onopen = () => {
      wait = 250;
      socket.send(JSON.stringify({ channel, have }));
      onConnection(true);
    };
    socket.onmessage = (event) => {
      turn = turn.then(() => handle(event.data, socket)).catch(console.error);
    };
    socket.onclose = () => {
      onConnection(false);
      setTimeout(connect, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    };
  }

  async function handle(data, socket) {
    const view = new DataView(data);
    const kind = view.getUint8(0);
    if (kind === STATE) {
      const { channel: name, states } = JSON.parse(new TextDecoder().decode(data.slice(1)));
      const fresh = name !== channel;
      if (fresh) have = 0; // the studio has begun anew
      channel = name;
      onState(states, fresh);
      return;
    }
    const sequence = view.getUint32(1);
    const order = view.getUint32(5);
    if (kind === PICTURE) {
      const image = await createImageBitmap(new Blob([data.slice(14)]));
      onPicture({ order, video: view.getUint8(9), frame: view.getUint32(10), image });
    } else if (kind === SOUND) {
      const samples = new Int16Array(data.slice(18));
      onSound({
        order,
        rate: view.getUint32(9),
        channels: view.getUint8(13),
        first: view.getUint32(14),
        samples,
      });
    }
    have = Math.max(have, sequence);
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ have }));
  }

  connect();
}
