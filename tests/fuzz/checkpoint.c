/* Any bytes as a checkpoint. Refused, they leave the network as it was, and the next step is the
   same as ever; accepted, they are what it writes again, and it goes on. Flags of the first byte
   mend the head and the checksum, which mutations would not get past. A network that is built from the bytes
   predicts, if it is small. */
#define MLS_NO_SIMD
#define MLS_IMPLEMENTATION
#include "../../mls_train.h"
#include "fuzz.h"

enum {
    BATCH = 4,
    NODES = 8,
    IMAGE = 4 * 4 * 3,
    NOTE = 5,
    MEND_SUM = 1,
    MEND_HEAD = 2,
    WITH_NOTE = 4
};

static mls_net net;
static const mls_sgd sgd = {0.125f, 0.5f, 0.0078125f, 0};
static float images[BATCH * IMAGE];
static const int32_t labels[BATCH] = {0, 1, 2, 1};
/* The network after a step, with a note and without, and its digest after the next step. */
static uint8_t *start[2];
static size_t start_size[2];
static uint64_t next_digest;

static void make(void)
{
    static mls_node nodes[NODES];
    mls_net_desc desc;
    mls_conv_desc conv;
    mls_plan plan;
    int32_t x;
    memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = BATCH, desc.seed = 1, desc.quantize_first = desc.quantize_last = 1;
    CHECK(mls_format_parse(&desc.formats.weight, "2,1:nc:2,0") == MLS_OK);
    desc.formats.activation = desc.formats.error = desc.formats.weight;
    desc.formats.error.rounding = MLS_ROUND_STOCHASTIC;
    mls_net_begin(&net, &desc, nodes, NODES);
    x = mls_net_input(&net, 4, 4, 3);
    conv.c_out = 4, conv.kh = 3, conv.pad = 1;
    x = mls_net_relu(&net, mls_net_batch_norm(&net, mls_net_conv(&net, x, &conv)));
    mls_net_loss(&net, mls_net_linear(&net, mls_net_global_pool(&net, x), 3));
    CHECK(mls_net_plan(&net, &plan) == MLS_OK);
    CHECK(mls_net_bind(&net, block_new(plan.arena, 0), plan.arena) == MLS_OK);
    for (size_t i = 0; i < BATCH * IMAGE; i++) {
        images[i] = (float)mls_random16(1, i) / 65536 - 0.5f;
    }
    CHECK(mls_net_step(&net, images, labels, BATCH, &sgd, NULL) == MLS_OK);
    for (int i = 0; i < 2; i++) {
        start_size[i] = mls_net_checkpoint_size(&net, i ? NOTE : 0);
        start[i] = (uint8_t *)block_new(start_size[i], 0);
        CHECK(mls_net_checkpoint_write(&net, "note", i ? NOTE : 0, start[i], start_size[i]) ==
              MLS_OK);
    }
    CHECK(mls_net_step(&net, images, labels, BATCH, &sgd, NULL) == MLS_OK);
    next_digest = mls_net_digest(&net);
}

/* Calls that a checkpoint full of anything must survive. */
static void go_on(uint8_t *bytes, size_t size)
{
    uint64_t before = mls_net_digest(&net);
    mls_status status = mls_net_evaluate(&net, images, labels, BATCH, NULL);
    CHECK(status == MLS_OK || status == MLS_ERROR_NONFINITE);
    for (int i = 0; i < 2; i++) {
        status = mls_net_step(&net, images, labels, BATCH, &sgd, NULL);
        CHECK(status == MLS_OK || status == MLS_ERROR_NONFINITE);
        if (status == MLS_ERROR_NONFINITE) CHECK(mls_net_digest(&net) == before);
        before = mls_net_digest(&net);
    }
    CHECK(mls_net_checkpoint_write(&net, NULL, 0, bytes, size) == MLS_OK);
}

/* Builds the network that the bytes describe. */
static void open_net(const uint8_t *bytes, size_t size)
{
    enum {
        MOST_NODES = 64,
        MOST_ARENA = 1 << 22,
        MOST_MACS = 1 << 22
    };
    static mls_node nodes[MOST_NODES];
    static mls_net opened;
    mls_plan plan;
    mls_status status = mls_net_open(&opened, NULL, nodes, MOST_NODES, bytes, size);
    CHECK(status == opened.status && (status == MLS_OK || opened.text[0]));
    if (mls_net_plan(&opened, &plan) != MLS_OK) {
        CHECK(opened.text[0]);
        return;
    }
    if (plan.arena > MOST_ARENA || plan.macs > MOST_MACS / opened.desc.batch) return;
    if (mls__image(nodes[0].shape) > MOST_ARENA / 4) return; /* it is not in the arena */
    uint8_t *arena = (uint8_t *)block_new(plan.arena, 0);
    float *image = (float *)block_new(mls__image(nodes[0].shape) * sizeof *image, 0);
    memset(image, 0, mls__image(nodes[0].shape) * sizeof *image);
    CHECK(mls_net_bind(&opened, arena, plan.arena) == MLS_OK);
    status = mls_net_checkpoint_read(&opened, bytes, size, NULL, 0);
    CHECK(status == MLS_OK || (status == MLS_ERROR_DATA && opened.text[0]));
    status = mls_net_predict(&opened, image, 1, NULL, NULL);
    CHECK(status == MLS_OK || status == MLS_ERROR_NONFINITE);
    block_free(arena, 0), block_free(image, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t flags = size ? data[0] : 0;
    int with = (flags & WITH_NOTE) != 0;
    size_t note_size = with ? NOTE : 0, given = size ? size - 1 : 0;
    uint8_t *bytes = (uint8_t *)block_new(given, 0), *again;
    char *note = (char *)block_new(note_size, 0);
    uint64_t before;
    mls_status status;
    if (!next_digest) make();
    if (given) memcpy(bytes, data + 1, given);
    if (flags & MEND_HEAD && given >= MLS__CHECKPOINT_HEAD) {
        const uint8_t version = bytes[8];
        const int other = version == 1 || version == 3 || version == 4;
        memcpy(bytes, start[with], other ? 40 : 72);
        if (other) bytes[8] = version;
    }
    if (flags & MEND_SUM && given >= MLS__CHECKPOINT_HEAD) {
        mls__put(bytes + given - 8, mls__mix(mls__hash_bytes(0, bytes, given - 8)), 8);
    }
    open_net(bytes, given);
    CHECK(mls_net_checkpoint_read(&net, start[0], start_size[0], NULL, 0) == MLS_OK);
    before = mls_net_digest(&net);
    status = mls_net_checkpoint_read(&net, bytes, given, note, note_size);
    again = (uint8_t *)block_new(start_size[with], 0);
    if (status == MLS_OK) {
        mls_checkpoint read, written;
        size_t at, rest;
        CHECK(mls_checkpoint_look(bytes, given, &read, NULL, 0) == MLS_OK);
        CHECK(mls_net_checkpoint_write(&net, note, note_size, again, start_size[with]) == MLS_OK);
        CHECK(mls_checkpoint_look(again, start_size[with], &written, NULL, 0) == MLS_OK);
        at = (size_t)((const uint8_t *)read.note - bytes), rest = given - at - 8;
        CHECK(read.note_size == note_size && read.seed == written.seed &&
              read.step == written.step);
        if (read.content == MLS_CONTENT_TRAINING) { /* and the numbers behind it */
            CHECK(memcmp(read.note, written.note, rest) == 0);
            CHECK((const uint8_t *)written.note + rest + 8 == again + start_size[with]);
        }
        go_on(again, start_size[with]);
    } else {
        CHECK(status == MLS_ERROR_DATA && net.text[0]);
        for (size_t i = 0; i < note_size; i++) CHECK((uint8_t)note[i] == 0xa5);
        CHECK(mls_net_digest(&net) == before);
        CHECK(mls_net_step(&net, images, labels, BATCH, &sgd, NULL) == MLS_OK);
        CHECK(mls_net_digest(&net) == next_digest);
    }
    block_free(bytes, 0), block_free(again, 0), block_free(note, 0);
    return 0;
}
