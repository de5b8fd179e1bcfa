/**
 * Draws the pictures and plays the sounds of the demo packages into their sources. They are
 * committed; run this file again to change them: `node test/support/draw-media.ts`.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { crc32, deflateSync } from "node:zlib"

const SOURCES = join(import.meta.dirname, "../../entrypoints/demo/packages/src")

type Colour = readonly [number, number, number]

class Picture {
  readonly width: number
  readonly height: number
  readonly pixels: Uint8Array

  constructor(width: number, height: number, colourAt: (x: number, y: number) => Colour) {
    this.width = width
    this.height = height
    this.pixels = new Uint8Array(width * height * 3)
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) this.dot(x, y, colourAt(x, y))
  }

  dot(x: number, y: number, colour: Colour): void {
    if (x >= 0 && y >= 0 && x < this.width && y < this.height) {
      this.pixels.set(colour, (y * this.width + x) * 3)
    }
  }

  box(x: number, y: number, width: number, height: number, colour: Colour): void {
    for (let b = y; b < y + height; b++) for (let a = x; a < x + width; a++) this.dot(a, b, colour)
  }

  disc(x: number, y: number, radius: number, colour: Colour): void {
    for (let b = -radius; b <= radius; b++) {
      for (let a = -radius; a <= radius; a++) {
        if (a * a + b * b <= radius * radius) this.dot(x + a, y + b, colour)
      }
    }
  }

  /** Writes letters of five by seven squares, each `scale` wide. */
  write(text: string, x: number, y: number, scale: number, colour: Colour): void {
    for (const [place, letter] of [...text].entries()) {
      for (const [row, bits] of (GLYPHS[letter] ?? []).entries()) {
        for (let column = 0; column < 5; column++) {
          if ((bits & (16 >> column)) === 0) continue
          this.box(x + (place * 6 + column) * scale, y + row * scale, scale, scale, colour)
        }
      }
    }
  }

  png(): Buffer {
    const stride = this.width * 3
    const rows = Buffer.alloc((stride + 1) * this.height)
    for (let y = 0; y < this.height; y++) {
      rows[y * (stride + 1)] = 1 // filter "sub": each byte minus the one of the pixel to the left
      for (let i = 0; i < stride; i++) {
        const left = i < 3 ? 0 : this.pixels[y * stride + i - 3]!
        rows[y * (stride + 1) + 1 + i] = this.pixels[y * stride + i]! - left
      }
    }
    const header = Buffer.alloc(13)
    header.writeUInt32BE(this.width, 0)
    header.writeUInt32BE(this.height, 4)
    header.set([8, 2, 0, 0, 0], 8)
    const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
    const data = deflateSync(rows, { level: 9 })
    const end = chunk("IEND", Buffer.alloc(0))
    return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", data), end])
  }
}

const chunk = (type: string, data: Buffer): Buffer => {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data])
  const frame = Buffer.alloc(body.length + 8)
  frame.writeUInt32BE(data.length, 0)
  frame.set(body, 4)
  frame.writeUInt32BE(crc32(body), body.length + 4)
  return frame
}

const GLYPHS: Record<string, ReadonlyArray<number>> = {
  "0": [14, 17, 19, 21, 25, 17, 14],
  "1": [4, 12, 4, 4, 4, 4, 14],
  "2": [14, 17, 1, 2, 4, 8, 31],
  "3": [31, 2, 4, 2, 1, 17, 14],
  "4": [2, 6, 10, 18, 31, 2, 2],
  "5": [31, 16, 30, 1, 1, 17, 14],
  "6": [6, 8, 16, 30, 17, 17, 14],
  "7": [31, 1, 2, 4, 8, 8, 8],
  A: [14, 17, 17, 31, 17, 17, 17],
  B: [30, 17, 17, 30, 17, 17, 30],
  C: [14, 17, 16, 16, 16, 17, 14],
  D: [30, 17, 17, 17, 17, 17, 30],
  k: [16, 16, 18, 20, 24, 20, 18],
  m: [0, 0, 26, 21, 21, 21, 21]
}

/** The same pseudo-random number between 0 and 1 for the same point. */
const speck = (x: number, y: number): number => {
  let bits = Math.imul(x, 374_761_393) + Math.imul(y, 668_265_263)
  bits = Math.imul(bits ^ (bits >>> 13), 1_274_126_177)
  return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32
}

const smooth = (x: number, y: number): number => {
  const [a, b] = [Math.floor(x), Math.floor(y)]
  const ease = (t: number) => t * t * (3 - 2 * t)
  const [u, v] = [ease(x - a), ease(y - b)]
  const top = speck(a, b) * (1 - u) + speck(a + 1, b) * u
  const bottom = speck(a, b + 1) * (1 - u) + speck(a + 1, b + 1) * u
  return top * (1 - v) + bottom * v
}

const hills = (x: number, y: number): number =>
  [1, 2, 4, 8].reduce((sum, f) => sum + smooth((x * f) / 110 + 7, (y * f) / 110 + 3) / f, 0) / 1.875

const bed = (x: number): number => 205 + 62 * Math.sin(x / 78) + 24 * Math.sin(x / 31 + 1)

const shore = (y: number): number => 545 + 16 * Math.sin(y / 29) + 9 * Math.sin(y / 11)

const SEA: Colour = [46, 110, 168]
const RIVER: Colour = [64, 142, 205]
const SAND: Colour = [232, 216, 164]

const mapColour = (x: number, y: number): Colour => {
  const coast = shore(y) - x
  if (coast < 0) {
    const wave = 6 * Math.sin(y / 5 + smooth(x / 20, y / 20) * 6)
    const deep = Math.min(30, -coast / 3)
    return [SEA[0] - deep + wave, SEA[1] - deep + wave, SEA[2] - deep / 2 + wave]
  }
  const away = Math.abs(y - bed(x))
  if (x > 58 && away < 3 + x / 70) return RIVER
  if (coast < 7 || (x > 58 && away < 5 + x / 60)) return SAND
  const height = hills(x, y) * (1 - x / 900) + Math.max(0, 0.25 - x / 700)
  const light = (hills(x - 2, y - 2) - hills(x, y)) * 620 + (speck(x, y) - 0.5) * 5
  const tone = (low: number, high: number) =>
    Math.max(0, Math.min(255, low + (high - low) * Math.min(1, height) - light))
  return [tone(96, 214), tone(158, 178), tone(84, 128)]
}

const riverMap = (): Picture => {
  const map = new Picture(640, 400, mapColour)
  const marks: ReadonlyArray<readonly [string, number]> = [
    ["A", 62],
    ["B", 300],
    ["C", 536]
  ]
  for (const [letter, x] of marks) {
    const y = Math.round(bed(x)) - (letter === "C" ? 0 : 26)
    map.disc(x, y, 19, [40, 40, 40])
    map.disc(x, y, 17, [255, 255, 255])
    map.write(letter, x - 7, y - 10, 3, [150, 20, 20])
  }
  return map
}

const lengthChart = (): Picture => {
  const chart = new Picture(640, 320, () => [255, 255, 255])
  const y = (kilometres: number) => 280 - Math.round(kilometres / 28)
  for (let thousand = 0; thousand <= 7; thousand++) {
    chart.box(90, y(thousand * 1000), 530, 1, [205, 214, 222])
    const label = thousand === 0 ? "0" : `${thousand}000`
    chart.write(label, 82 - label.length * 12, y(thousand * 1000) - 7, 2, [70, 80, 90])
  }
  chart.write("km", 16, 2, 2, [70, 80, 90])
  const bars: ReadonlyArray<readonly [string, number, Colour]> = [
    ["A", 6650, [20, 80, 122]],
    ["B", 2850, [46, 134, 171]],
    ["C", 1230, [241, 143, 1]],
    ["D", 346, [162, 59, 114]]
  ]
  for (const [place, [letter, kilometres, colour]] of bars.entries()) {
    const x = 130 + place * 125
    chart.box(x, y(kilometres), 76, 280 - y(kilometres), colour)
    chart.write(letter, x + 31, 290, 3, [40, 50, 60])
  }
  chart.box(90, 280, 530, 2, [70, 80, 90])
  return chart
}

const RATE = 16_000

/** A sound as a WAV file: mono, 16 bits. `at` gives the loudness between -1 and 1 at a second. */
const wav = (seconds: number, at: (second: number) => number): Buffer => {
  const samples = Math.round(seconds * RATE)
  const file = Buffer.alloc(44 + samples * 2)
  file.write("RIFF", 0, "latin1")
  file.writeUInt32LE(36 + samples * 2, 4)
  file.write("WAVEfmt ", 8, "latin1")
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20)
  file.writeUInt16LE(1, 22)
  file.writeUInt32LE(RATE, 24)
  file.writeUInt32LE(RATE * 2, 28)
  file.writeUInt16LE(2, 32)
  file.writeUInt16LE(16, 34)
  file.write("data", 36, "latin1")
  file.writeUInt32LE(samples * 2, 40)
  for (let i = 0; i < samples; i++) {
    const value = Math.max(-1, Math.min(1, at(i / RATE)))
    file.writeInt16LE(Math.round(value * 30_000), 44 + i * 2)
  }
  return file
}

/** Strikes wooden bars, one after the other: C6, A5, G5, E5, D5, C5. */
const melody = (second: number): number =>
  [1046.5, 880, 784, 659.3, 587.3, 523.3].reduce((sum, pitch, place) => {
    const since = second - place * 0.5
    if (since < 0) return sum
    const tone = Math.sin(2 * Math.PI * pitch * since) + 0.3 * Math.sin(8 * Math.PI * pitch * since)
    return sum + 0.45 * tone * Math.exp(-5 * since)
  }, 0)

/** Beats a drum five times. */
const drum = (second: number): number =>
  [0.1, 0.7, 1.3, 1.6, 1.9].reduce((sum, start) => {
    const since = second - start
    if (since < 0) return sum
    const skin = Math.sin(2 * Math.PI * (70 + 60 * Math.exp(-18 * since)) * since)
    const stick = (speck(Math.round(since * RATE), 5) - 0.5) * Math.exp(-60 * since)
    return sum + 0.8 * skin * Math.exp(-9 * since) + 0.6 * stick
  }, 0)

if (import.meta.main) {
  writeFileSync(join(SOURCES, "rivers-qti21/media/river-map.png"), riverMap().png())
  writeFileSync(join(SOURCES, "rivers-qti21/media/length-chart.png"), lengthChart().png())
  writeFileSync(join(SOURCES, "soundscapes-qti30/media/melody.wav"), wav(3.6, melody))
  writeFileSync(join(SOURCES, "soundscapes-qti30/media/drum.wav"), wav(2.6, drum))
}
