/* A wrong call says what is wrong with it, and costs nothing: what comes after it goes on. */

enum {
    FEW = 4,
    FEW_CLASSES = 3
};
static mls_node small_nodes[8];
static mls_net small;
static mls_plan small_plan;
static float few_images[FEW * 4 * 4 * 2];
static const int32_t few_labels[FEW] = {0, 1, 2, 0};
static const mls_sgd sgd = {0.1f, 0.9f, 0, 0};

static void build_small(void)
{
    mls_net_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.batch = FEW;
    mls_net_begin(&small, &desc, small_nodes, 8);
    mls_net_loss(&small, mls_net_linear(&small, mls_net_input(&small, 4, 4, 2), FEW_CLASSES));
    for (int i = 0; i < FEW * 4 * 4 * 2; i++) few_images[i] = (float)(i * 37 % 101) / 50 - 1;
}

static void *bound_small(void)
{
    void *memory = 0;
    build_small();
    if (mls_net_plan(&small, &small_plan) == MLS_OK) memory = malloc(small_plan.arena);
    if (!memory || mls_net_bind(&small, memory, small_plan.arena) != MLS_OK)
        t_fail(__FILE__, __LINE__, "bound");
    return memory;
}

/* All that needs a bound network, and the text that each leaves. */
static void call_all(mls_status status, const char *text)
{
    static uint8_t file_bytes[9999];
    for (int call = 0; call < 9; call++) {
        mls_status got =
            call == 0   ? mls_net_evaluate(&small, few_images, few_labels, FEW, 0)
            : call == 1 ? mls_net_gradient(&small, few_images, few_labels, FEW, 0)
            : call == 2 ? mls_net_update(&small, &sgd)
            : call == 3 ? mls_net_step(&small, few_images, few_labels, FEW, &sgd, 0)
            : call == 4 ? mls_net_step(&small, few_images, few_labels, FEW, 0, 0)
            : call == 5 ? mls_net_checkpoint_write(&small, 0, 0, file_bytes, sizeof file_bytes)
            : call == 6 ? mls_net_checkpoint_read(&small, file_bytes, sizeof file_bytes, 0, 0)
            : call == 7 ? mls_net_save(&small, "never.mlsck", 0, 0)
                        : mls_net_load(&small, "never.mlsck", 0, 0);
        t_note("call %d: %s", call, small.text);
        T_EQ_INT(got, status);
        T_CHECK(strstr(small.text, text));
    }
}

static void too_early(void)
{
    void *memory;
    build_small();
    call_all(MLS_ERROR_STATE, "mls_net_bind comes first");
    T_EQ_INT(mls_net_bind(&small, few_images, sizeof few_images), MLS_ERROR_STATE);
    T_CHECK(strstr(small.text, "mls_net_plan comes first"));
    T_EQ_INT(small.status, MLS_OK);
    T_EQ_INT(mls_net_plan(&small, &small_plan), MLS_OK);
    T_EQ_INT(small.text[0], 0);
    call_all(MLS_ERROR_STATE, "mls_net_bind comes first");
    memory = malloc(small_plan.arena);
    T_REQUIRE(memory);
    T_EQ_INT(mls_net_bind(&small, memory, small_plan.arena), MLS_OK);
    T_EQ_INT(mls_net_step(&small, few_images, few_labels, FEW, &sgd, 0), MLS_OK);
    free(memory);
}

/* A program that looks at no status but the last one still hears what was wrong first. */
static void a_build_error_stays(void)
{
    build_small();
    small.count = 1;
    T_EQ_INT(mls_net_max_pool(&small, 0, 9, 1, 9), -1);
    T_CHECK(strstr(small.text, "padding"));
    T_CHECK(mls_net_plan(&small, &small_plan) != MLS_OK);
    call_all(small.status, "padding");
    T_CHECK(mls_net_bind(&small, few_images, sizeof few_images) != MLS_OK);
    T_CHECK(strstr(small.text, "padding"));
}

static void optimizers_that_are_not_finite(void)
{
    void *memory = bound_small();
    const uint32_t nan = 0x7fc00000u, infinity = 0x7f800000u;
    uint64_t digest;
    T_REQUIRE(memory);
    T_EQ_INT(mls_net_gradient(&small, few_images, few_labels, FEW, 0), MLS_OK);
    digest = mls_net_digest(&small);
    for (int i = 0; i < 6; i++) {
        mls_sgd wrong = sgd;
        float *where = i % 3 == 0 ? &wrong.rate : i % 3 == 1 ? &wrong.momentum : &wrong.decay;
        memcpy(where, i < 3 ? &nan : &infinity, sizeof *where);
        T_EQ_INT(mls_net_update(&small, &wrong), MLS_ERROR_ARGUMENT);
        T_CHECK(strstr(small.text, "not finite"));
        T_EQ_INT(mls_net_step(&small, few_images, few_labels, FEW, &wrong, 0), MLS_ERROR_ARGUMENT);
    }
    T_CHECK(mls_net_digest(&small) == digest);
    T_EQ_INT(mls_net_update(&small, &sgd), MLS_OK); /* the gradient is still there */
    free(memory);
}

static void rates_of_schedules(void)
{
    mls_schedule schedule;
    memset(&schedule, 0, sizeof schedule);
    T_CHECK(mls_schedule_rate(0, 1) == 0);
    schedule.rate = 1;
    for (int kind = MLS_SCHEDULE_CONSTANT; kind <= MLS_SCHEDULE_COSINE; kind++) {
        schedule.kind = (mls_schedule_kind)kind;
        for (int64_t updates = 0; updates < 3; updates++) {
            schedule.updates = schedule.warmup = schedule.milestones[0] = updates;
            T_CHECK(mls_schedule_rate(&schedule, -5) == mls_schedule_rate(&schedule, 0));
            T_CHECK(mls_schedule_rate(&schedule, INT64_MIN) == mls_schedule_rate(&schedule, 0));
        }
    }
}

static void notes_that_are_too_long(void)
{
#if SIZE_MAX > UINT32_MAX
    void *memory = bound_small();
    const size_t size = (size_t)UINT32_MAX + 1;
    char note = 0, to = 0;
    T_REQUIRE(memory);
    T_EQ_INT(mls_net_checkpoint_write(&small, &note, size, &to, 1), MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(small.text, "note"));
    T_EQ_INT(mls_net_save(&small, "never.mlsck", &note, size), MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(small.text, "note"));
    free(memory);
#else
    T_SKIP("no size is over 4 GiB");
#endif
}

static void files_that_are_none(void)
{
#if defined(__unix__) || defined(__APPLE__)
    void *file_bytes = 0;
    size_t size = 0;
    char text[200];
    T_EQ_INT(mls_file_load(".", &file_bytes, &size, text, sizeof text), MLS_ERROR_IO);
    T_CHECK(!file_bytes && strcmp(text, "cannot read: .: Is a directory") == 0);
    T_EQ_INT(mls_file_save(".", "x", 1, text, sizeof text), MLS_ERROR_IO);
    if (system("rm -f misuse.fifo && mkfifo misuse.fifo") != 0) T_SKIP("no pipes with names");
    T_EQ_INT(mls_file_save("misuse.fifo", "x", 1, text, sizeof text), MLS_ERROR_IO);
    T_CHECK(strstr(text, "cannot write: misuse.fifo: "));
    T_EQ_INT(system("test -p misuse.fifo && test ! -e misuse.fifo.tmp"), 0);
    remove("misuse.fifo");
#else
    T_SKIP("no such files");
#endif
}

#define MISUSE_TESTS                                                                        \
    T_TEST(too_early), T_TEST(a_build_error_stays), T_TEST(optimizers_that_are_not_finite), \
        T_TEST(rates_of_schedules), T_TEST(notes_that_are_too_long), T_TEST(files_that_are_none)
