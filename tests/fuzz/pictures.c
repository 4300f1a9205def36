/* Folders of pictures through the example's decoder: two files of any bytes, in one class or two. */
#define main cifar10_main
#define MLS_NO_SIMD
#include "../../examples/cifar10.c"
#undef main
#include "fuzz.h"
#include "folder.h"

enum {
    MOST_PIXELS = 1 << 14 /* larger ones decode just the same, for longer */
};

static int small(const uint8_t *bytes, size_t size)
{
    int w = 0, h = 0, c = 0;
    if (overfull_table(bytes, size)) return 1;
    return !stbi_info_from_memory(bytes, (int)size, &w, &h, &c) || w <= MOST_PIXELS / h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const files[] = {"a/0.png", "b/1.jpg", "a/.hidden.png", "beside"};
    source s = {data, data + size};
    uint32_t what = byte(&s);
    bool resize = what & 1;
    int32_t h = what & 2 ? between(&s, 1, 40) : 0, w = what & 4 ? between(&s, 1, 40) : 0;
    size_t room = byte(&s), left, first;
    char *text;
    mls_data d;
    mls_status status;
    if (!folder[0]) {
        folder_make();
        CHECK(mkdir(folder_path("a"), 0777) == 0 && mkdir(folder_path("b"), 0777) == 0);
        folder_write(files[2], (const uint8_t *)"no", 2), folder_write(files[3], NULL, 0);
    }
    first = word(&s, 2), left = (size_t)(s.end - s.at);
    if (!(what & 8) || first > left) first = left;
    if (!small(s.at, first) || !small(s.at + first, left - first)) return 0;
    folder_write(files[0], s.at, first);
    if (what & 8) folder_write(files[1], s.at + first, left - first);
    text = (char *)block_new(room, 0);
    status = mls_data_folder(&d, folder, h, w, decode_picture, &resize, text, room);
    if (status == MLS_OK) {
        CHECK(d.count == (what & 8 ? 2 : 1) && d.classes == d.count && d.c == 3);
        CHECK((!h || !w || (d.h == h && d.w == w)) && d.labels[d.count - 1] == d.count - 1);
        data_hash(&d); /* reads every byte */
    } else {
        CHECK(!d.pixels && !d.labels && (room < 2 || text[0]));
    }
    mls_data_free(&d);
    block_free(text, 0);
    remove(folder_path(files[0])), remove(folder_path(files[1]));
    return 0;
}
