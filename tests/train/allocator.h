/* An allocator that counts, fails on demand, and sees writes behind a block. */

static int live_blocks, allocations, fail_at, failures;
enum {
    HEAD = 64,
    CANARY = 64
};

static void *test_malloc(size_t size)
{
    unsigned char *p;
    if (++allocations == fail_at) {
        failures++;
        return NULL;
    }
    p = (unsigned char *)malloc(HEAD + size + CANARY);
    if (!p) return NULL;
    memcpy(p, &size, sizeof size);
    memset(p + HEAD, 0xa5, size + CANARY);
    live_blocks++;
    return p + HEAD;
}

static void test_free(void *memory)
{
    unsigned char *p = (unsigned char *)memory - HEAD;
    size_t size;
    T_CHECK(memory != NULL);
    if (!memory) return;
    memcpy(&size, p, sizeof size);
    for (size_t i = 0; i < CANARY; i++) {
        if (p[HEAD + size + i] == 0xa5) continue;
        t_fail(__FILE__, __LINE__, "a write behind a block of %lu bytes", (unsigned long)size);
        break;
    }
    live_blocks--;
    free(p);
}
