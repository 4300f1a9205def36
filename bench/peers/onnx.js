// onnx.js MODULE MODEL FOLDER - runs an ONNX file with ONNX Runtime on FOLDER/images (fp32, of the shape that the
// model's input has) and compares with FOLDER/logits: the largest difference, and how many pictures have
// the same largest score; how many of these are those of FOLDER/labels. Status 1: a difference of over 1e-3, or
// another answer.
const fs = require('fs')
const [module_, model, folder] = process.argv.slice(2)
const ort = require(module_)

function numbers(Kind, path) {
    const bytes = fs.readFileSync(path)
    return new Kind(bytes.buffer, bytes.byteOffset, bytes.length / 4)
}

function largest(scores) {
    return scores.indexOf(scores.reduce((a, b) => Math.max(a, b)))
}

async function main() {
    const session = await ort.InferenceSession.create(model)
    const images = numbers(Float32Array, folder + '/images'), ours = numbers(Float32Array, folder + '/logits')
    const labels = numbers(Int32Array, folder + '/labels')
    const count = labels.length, classes = ours.length / count
    const shape = [count, ...session.inputMetadata[0].shape.slice(1)]
    const input = new ort.Tensor('float32', images, shape)
    const theirs = (await session.run({ input })).logits.data
    let difference = 0, same = 0, right = 0
    for (let i = 0; i < theirs.length; i++) difference = Math.max(difference, Math.abs(theirs[i] - ours[i]))
    for (let n = 0; n < count; n++) {
        const at = n * classes, answer = largest(theirs.slice(at, at + classes))
        same += answer === largest(ours.slice(at, at + classes))
        right += answer === labels[n]
    }
    console.log(`ONNX Runtime: ${count} pictures, ${same} of the same class, difference ${difference.toExponential(2)}; ${right} right`)
    process.exit(theirs.length !== ours.length || same !== count || !(difference < 1e-3) ? 1 : 0)
}
main()
