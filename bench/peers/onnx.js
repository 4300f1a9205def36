// onnx.js MODEL FOLDER - runs an ONNX file with ONNX Runtime on FOLDER/images (fp32, of the shape that the
// model's input has) and compares with FOLDER/logits: the largest difference, and how many pictures have
// the same largest score. Status 1: a difference of over 1e-3, or another answer.
const fs = require('fs')
const ort = require('onnxruntime-node')

function floats(path) {
    const bytes = fs.readFileSync(path)
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
}

function largest(scores) {
    return scores.indexOf(scores.reduce((a, b) => Math.max(a, b)))
}

async function main([model, folder]) {
    const session = await ort.InferenceSession.create(model)
    const images = floats(folder + '/images'), ours = floats(folder + '/logits')
    const count = fs.statSync(folder + '/labels').size / 4, classes = ours.length / count
    const shape = [count, ...session.inputMetadata[0].shape.slice(1)]
    const input = new ort.Tensor('float32', images, shape)
    const theirs = (await session.run({ input })).logits.data
    let difference = 0, same = 0
    for (let i = 0; i < theirs.length; i++) difference = Math.max(difference, Math.abs(theirs[i] - ours[i]))
    for (let i = 0; i < theirs.length; i += classes) {
        same += largest(theirs.slice(i, i + classes)) === largest(ours.slice(i, i + classes))
    }
    console.log(`result pictures=${count} same=${same} difference=${difference.toExponential(2)}`)
    process.exit(theirs.length !== ours.length || same !== count || !(difference < 1e-3) ? 1 : 0)
}
main(process.argv.slice(2))
