/* Any bytes as a file of tensors: refused, with a reason and nothing changed, or taken, with all its numbers.
   The first byte says how they become a file: as a safetensors or NPZ file, with what mutations would not get
   past: the length before a header, the sums of an archive; or as NPY arrays, to be put into one. */
#define main mls_main
#define MLS_NO_SIMD
#define NO_PICTURES
#include "../../examples/mls/mls.c"
#undef main
#include "fuzz.h"

static mls_net net;
static tensors ours;

/* Tensors of each rank: n.weight, n.bias, n.running_mean, n.running_var, c.weight, l.weight, l.bias. */
static void make(void)
{
    static mls_node nodes[8];
    mls_net_desc desc = {.batch = 1, .inference = 1};
    mls_conv_desc conv = {.c_out = 2, .kh = 1, .kw = 2};
    mls_plan plan;
    failure f;
    mls_net_begin(&net, &desc, nodes, 8);
    int32_t x = mls_net_name(&net, mls_net_input(&net, 1, 3, 2), "x");
    x = mls_net_name(&net, mls_net_batch_norm(&net, x), "n");
    x = mls_net_name(&net, mls_net_conv(&net, x, &conv), "c");
    mls_net_loss(&net, mls_net_name(&net, mls_net_linear(&net, x, 2), "l"));
    CHECK(mls_net_plan(&net, &plan) == MLS_OK);
    CHECK(mls_net_bind(&net, block_new(plan.arena, 0), plan.arena) == MLS_OK);
    CHECK(list_tensors(&ours, &net, &f) && ours.count == 7);
}

/* Each array, with a word for its length before it, gets the name of a tensor. */
static void wrap(source *s, growing *zip)
{
    growing directory = {0};
    size_t count = 0;
    for (; count < ours.count && s->at < s->end; count++) {
        size_t left, length = word(s, 2);
        char name[TENSOR_NAME + 8];
        growing file = {0};
        left = (size_t)(s->end - s->at);
        append(&file, (const char *)s->at, length < left ? length : left);
        s->at += file.length;
        snprintf(name, sizeof name, "%s.npy", ours.of[count].name);
        append_zip(zip, &directory, name, &file);
        free(file.at);
    }
    const size_t at = zip->length;
    append(zip, directory.at ? directory.at : "", directory.length);
    append(zip, "PK\5\6\0\0\0\0", 8);
    append_little(zip, count, 2), append_little(zip, count, 2);
    append_little(zip, directory.length, 4), append_little(zip, at, 4), append_little(zip, 0, 2);
    free(directory.at);
}

/* The sums of an archive's files, where there are files. */
static void mend(uint8_t *zip, size_t size)
{
    const size_t end = zip_end(zip, size);
    size_t at = end ? (size_t)little(zip + end + 16, 4) : size;
    while (at + 46 <= end) {
        uint8_t *entry = zip + at;
        const size_t file = (size_t)little(entry + 42, 4), bytes = (size_t)little(entry + 24, 4);
        if (file + 30 > size) return;
        const size_t start =
            file + 30 + (size_t)little(zip + file + 26, 2) + (size_t)little(zip + file + 28, 2);
        if (start + bytes > size) return;
        const uint32_t crc = zip_crc(zip + start, bytes);
        for (int k = 0; k < 4; k++) entry[16 + k] = (uint8_t)(crc >> (8 * k));
        at += 46 + (size_t)little(entry + 28, 2) + (size_t)little(entry + 30, 2) +
              (size_t)little(entry + 32, 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {data, data + size};
    const uint32_t how = byte(&s) % 5;
    const bool npz = how > 1;
    growing file = {0};
    failure f = {0};
    if (!ours.count) make();
    if (how == 1) append_little(&file, word(&s, 2), 8);
    if (how == 2) wrap(&s, &file);
    append(&file, (const char *)s.at, (size_t)(s.end - s.at));
    uint8_t *bytes = (uint8_t *)block_new(file.length, 0);
    memcpy(bytes, file.at, file.length);
    if (how == 3) mend(bytes, file.length);
    const uint64_t before = mls_net_digest(&net);
    if (take_tensors(&ours, npz, bytes, file.length, "fuzz", &f)) {
        for (size_t i = 0; i < ours.count; i++) {
            for (size_t k = 0; k < ours.of[i].own.count; k++)
                CHECK(isfinite(ours.of[i].own.values[k]));
        }
    } else {
        CHECK(f.status == 2 && f.text[0] && mls_net_digest(&net) == before);
        for (const char *c = f.text; *c; c++) CHECK(*c >= ' ' && *c <= '~');
    }
    block_free(bytes, 0);
    free(file.at);
    return 0;
}
