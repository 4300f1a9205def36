/* Formats: which there are, the value of every code, and texts, which are read as documented or
   refused. */

static void status_strings(void)
{
    for (int i = 0; i < MLS__STATUS_COUNT; i++) {
        const char *text = mls_status_string((mls_status)i);
        T_REQUIRE(text != NULL && text[0] != 0);
        for (int j = 0; j < i; j++) T_CHECK(strcmp(text, mls_status_string((mls_status)j)) != 0);
    }
    T_EQ_INT(MLS_OK, 0);
    T_CHECK(mls_status_string((mls_status)MLS__STATUS_COUNT) != NULL);
}

static void format_check_is_exact(void)
{
    for (int ex = 0; ex < 8; ex++) {
        for (int mx = 0; mx < 13; mx++) {
            for (int eg = 0; eg < 11; eg++) {
                for (int rest = 0; rest < 4 * 5 * 4 * 3; rest++) {
                    int mg = rest % 4, grouping = rest / 4 % 5, rounding = rest / 20 % 4;
                    int range = rest / 80;
                    int good = ex <= 5 && mx <= 10 && ex + mx > 0 && eg <= 8 && mg <= 1 &&
                               (eg > 0 || mg == 0) && grouping <= 3 && rounding <= 2 && range <= 1;
                    mls_format f = full_format(ex, mx, eg, mg, grouping, rounding, range);
                    T_EQ_INT(mls_format_check(f), good ? MLS_OK : MLS_ERROR_FORMAT);
                    T_EQ_INT(mls_format_bits(f), good ? 1 + ex + mx : 0);
                }
            }
        }
    }
    T_EQ_INT(mls_format_check(full_format(255, 255, 255, 255, 255, 255, 255)), MLS_ERROR_FORMAT);
}

/* Every code of every element format, through both functions that decode. */
static void values_of_all_codes(void)
{
    float *values = floats(1 << 16), *x = floats(1 << 16);
    for (int ex = 0; ex <= 5; ex++) {
        for (int mx = 0; mx <= 10; mx++) {
            mls_format f = plain(ex, mx);
            int half = 1 << (ex + mx), count = 2 * half, wrong = 0;
            mls_tensor t;
            if (ex + mx == 0) continue;
            t_note("<%d,%d>", ex, mx);
            T_EQ_INT(mls_format_values(f, values, count - 1), 0);
            T_EQ_INT(mls_format_values(f, NULL, count), 0);
            T_EQ_INT(mls_format_values(f, values, count), count);
            t = tensor_new(f, shape_of(1, 1, 1, count));
            t.scale = 1, t.group[0] = 0;
            for (int i = 0; i < count; i++) {
                if (1 + ex + mx <= 4) {
                    if (i % 2 == 0) t.code[i / 2] = (uint8_t)(i | (i + 1) << 4);
                } else if (1 + ex + mx <= 8) {
                    t.code[i] = (uint8_t)i;
                } else {
                    t.code[2 * i] = (uint8_t)(i & 255), t.code[2 * i + 1] = (uint8_t)(i >> 8);
                }
            }
            T_EQ_INT(mls_dequantize(&t, x), MLS_OK);
            for (int i = 0; i < count && !wrong; i++) {
                double v = element_value(ex, mx, (uint32_t)(i % half));
                float expected = (float)(i < half || !(v > 0) ? v : -v);
                T_EQ_INT(mls_tensor_code(&t, (size_t)i), i);
                wrong =
                    to_bits(values[i]) != to_bits(expected) || to_bits(x[i]) != to_bits(expected);
            }
            T_CHECK(!wrong);
            tensor_free(&t);
        }
    }
    t_free(values), t_free(x);
}

/* Tables written out, so that an error cannot hide in a formula: FP4 E2M1, FP6 E2M3 and E3M2 up to
   a power of two, uniform ones, powers of two. */
static void values_of_known_formats(void)
{
    static const struct {
        int ex, mx, count;
        float unit;
        int grid[32];
    } known[] = {
        {2, 1, 8, 1 / 16.0f, {0, 1, 2, 3, 4, 6, 8, 12}},
        {0, 3, 8, 1 / 8.0f, {0, 1, 2, 3, 4, 5, 6, 7}},
        {1, 2, 8, 1 / 8.0f, {0, 1, 2, 3, 4, 5, 6, 7}},
        {3, 0, 8, 1 / 128.0f, {0, 1, 2, 4, 8, 16, 32, 64}},
        {2, 3, 32, 1 / 64.0f, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                               16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 52, 56, 60}},
        {3, 2, 32, 1 / 512.0f, {0,  1,   2,   3,   4,   5,   6,   7,   8,   10, 12,
                                14, 16,  20,  24,  28,  32,  40,  48,  56,  64, 80,
                                96, 112, 128, 160, 192, 224, 256, 320, 384, 448}},
    };
    float values[64];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        t_note("<%d,%d>", known[i].ex, known[i].mx);
        T_EQ_INT(mls_format_values(plain(known[i].ex, known[i].mx), values, 64),
                 2 * known[i].count);
        for (int j = 0; j < known[i].count; j++) {
            float v = (float)known[i].grid[j] * known[i].unit;
            T_CHECK(values[j] == v && values[known[i].count + j] == -v);
        }
    }
}

static void parse_good(void)
{
    static const struct {
        const char *text;
        uint8_t format[7];
    } good[] = {
        {"2,1", {2, 1, 8, 1, 3, 1, 1}}, /* the rest stays as it was */
        {"0,10", {0, 10, 8, 1, 3, 1, 1}},
        {"5,0", {5, 0, 8, 1, 3, 1, 1}},
        {"2,1:none", {2, 1, 8, 1, 0, 1, 1}},
        {"2,1:n", {2, 1, 8, 1, 1, 1, 1}},
        {"2,1:c:0,0", {2, 1, 0, 0, 2, 1, 1}},
        {"2,1:nc:3,1", {2, 1, 3, 1, 3, 1, 1}},
        {"2,4:nc:8,0:nearest", {2, 4, 8, 0, 3, 0, 1}},
        {"2,4:n:2,0:stochastic:fit", {2, 4, 2, 0, 1, 1, 0}},
        {"2,4:none:0,0:clipped:paper", {2, 4, 0, 0, 0, 2, 1}},
        {"2,4:fit", {2, 4, 8, 1, 3, 1, 0}},
        {"2,4:nearest:fit", {2, 4, 8, 1, 3, 0, 0}},
        {"fp32", {0, 0, 0, 0, 0, 0, 0}},
        {"mls-2,1", {2, 1, 8, 1, 3, 1, 1}},
        {"paper-2,1", {2, 1, 8, 1, 3, 2, 1}},
        {"paper-0,4:none:0,0:fit", {0, 4, 0, 0, 0, 2, 0}},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        mls_format f = full_format(1, 7, 8, 1, 3, 1, 1);
        const uint8_t *g = good[i].format;
        t_note("\"%s\"", good[i].text);
        T_EQ_INT(mls_format_parse(&f, good[i].text), MLS_OK);
        T_CHECK(f.ex == g[0] && f.mx == g[1] && f.eg == g[2] && f.mg == g[3]);
        T_CHECK(f.grouping == g[4] && f.rounding == g[5] && f.range == g[6]);
    }
}

static void parse_bad(void)
{
    static const char *const bad[] = {"",
                                      "2",
                                      "2,",
                                      ",1",
                                      "2,1 ",
                                      " 2,1",
                                      "2;1",
                                      "-2,1",
                                      "2,1:",
                                      "2,1::nc",
                                      "2,1:nc:",
                                      "2,1:nc:3",
                                      "2,1:nc:3,",
                                      "2,1:nc:9,0",
                                      "2,1:nc:0,1",
                                      "2,1:nc:3,2",
                                      "2,1:3,1",
                                      "2,1:NC",
                                      "2,1:ncc",
                                      "2,1:nears",
                                      "2,1:fitt",
                                      "0,0",
                                      "6,1",
                                      "2,11",
                                      "256,1",
                                      "1000,1",
                                      "99999999999999999999,1",
                                      "2,1,1",
                                      "2,1:nc:3,1,1",
                                      "fp32:nc",
                                      "fp16",
                                      "FP32",
                                      "2,1:fit:up",
                                      "2,1:nc:258,1",
                                      "2,1nc",
                                      "2.0,1",
                                      "0x2,1",
                                      "2,1:nearest:3,1",
                                      "mls-",
                                      "paper-fp32",
                                      "mls-paper-2,1",
                                      "paper2,1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mls_format f = full_format(1, 7, 8, 1, 3, 1, 1), before = f;
        t_note("\"%s\"", bad[i]);
        T_EQ_INT(mls_format_parse(&f, bad[i]), MLS_ERROR_FORMAT);
        T_EQ_MEM(&f, &before, sizeof f);
    }
    {
        mls_format f = full_format(1, 7, 0, 0, 3, 1, 1), before = f;
        t_note("null");
        T_EQ_INT(mls_format_parse(NULL, "2,1"), MLS_ERROR_ARGUMENT);
        T_EQ_INT(mls_format_parse(&f, NULL), MLS_ERROR_ARGUMENT);
        T_EQ_MEM(&f, &before, sizeof f);
    }
}

/* One text means one thing: of an all-zero format what is not said is nc:2,0:nearest:fit. */
static void parse_from_nothing(void)
{
    mls_format f = full_format(0, 0, 0, 0, 0, 0, 0), wanted = full_format(2, 1, 2, 0, 3, 0, 0);
    T_EQ_INT(mls_format_parse(&f, "2,1"), MLS_OK);
    T_EQ_MEM(&f, &wanted, sizeof f);
}

/* What is written is read again, for formats of every kind; a text that is too short is cut. */
static void format_texts(void)
{
    uint64_t rng = 5;
    for (int i = 0; i < 2000; i++) {
        char text[MLS_FORMAT_TEXT], cut[8];
        mls_format f = full_format(t_below(&rng, 7), t_below(&rng, 12), t_below(&rng, 9),
                                   t_below(&rng, 2), t_below(&rng, 4), t_below(&rng, 3),
                                   t_below(&rng, 2)),
                   g = full_format(1, 7, 8, 1, 3, 1, 1);
        if (f.ex + f.mx + f.eg + f.mg + f.grouping + f.rounding + f.range == 0) continue;
        if (mls_format_check(f) != MLS_OK) {
            T_EQ_INT(mls_format_text(f, text, sizeof text), MLS_ERROR_FORMAT);
            continue;
        }
        T_EQ_INT(mls_format_text(f, text, sizeof text), MLS_OK);
        t_note("\"%s\"", text);
        T_EQ_INT(mls_format_parse(&g, text), MLS_OK);
        T_EQ_MEM(&f, &g, sizeof f);
        memset(cut, 'x', sizeof cut);
        T_EQ_INT(mls_format_text(f, cut, sizeof cut), MLS_ERROR_MEMORY);
        T_CHECK(strncmp(cut, text, 7) == 0 && cut[7] == 0);
    }
    {
        char text[MLS_FORMAT_TEXT] = "x";
        T_EQ_INT(mls_format_text(full_format(0, 0, 0, 0, 0, 0, 0), text, sizeof text), MLS_OK);
        T_CHECK(strcmp(text, "fp32") == 0);
        T_EQ_INT(mls_format_text(full_format(5, 10, 8, 1, 0, 1, 1), text, sizeof text), MLS_OK);
        T_CHECK(strcmp(text, "5,10:none:8,1:stochastic:paper") == 0);
        T_EQ_INT(mls_format_text(full_format(2, 1, 2, 0, 3, 0, 0), NULL, 9), MLS_ERROR_ARGUMENT);
        T_EQ_INT(mls_format_text(full_format(2, 1, 2, 0, 3, 0, 0), text, 0), MLS_ERROR_ARGUMENT);
    }
}

/* The defaults of the roles, and every way to say them. */
static void formats_by_role(void)
{
    static const struct {
        const char *text, *all;
    } good[] = {
        {"2,1", "w=2,1:nc:2,0:nearest:fit a=2,1:nc:2,0:nearest:fit e=2,1:nc:2,0:stochastic:fit"},
        {"fp32", "fp32"},
        {"  e=2,4:nc:3,1  w=fp32 ", "w=fp32 a=2,1:nc:2,0:nearest:fit e=2,4:nc:3,1:stochastic:fit"},
        {"a=0,7:none:nearest",
         "w=2,1:nc:2,0:nearest:fit a=0,7:none:2,0:nearest:fit e=2,1:nc:2,0:stochastic:fit"},
        {"e=2,1:nearest",
         "w=2,1:nc:2,0:nearest:fit a=2,1:nc:2,0:nearest:fit e=2,1:nc:2,0:nearest:fit"},
        {"paper-1,2", "w=1,2:nc:8,1:clipped:paper a=1,2:nc:8,1:clipped:paper "
                      "e=1,2:nc:8,1:clipped:paper"},
        {"w=fp32 a=fp32 e=fp32", "fp32"},
    };
    static const struct {
        const char *text, *wrong;
    } bad[] = {
        {"", "''"},
        {"2,1:foo", "'2,1:foo' is not a format"},
        {"w=2,1 q=2,1", "'q=2,1' is not a format"},
        {"w=2,1 w=2,4", "'w=2,4' gives a role a second"},
        {"2,1 2,4", "'2,4' gives a role a second"},
        {"w=", "'w=' is not"},
        {"w= 2,1", "'w=' is not"},
        {"a=2,1:nc:2,0:nearest:fit:fit:fit:fit:fit:fit:fit:fit:fit:fit:fit:fit:fit", "too long"},
    };
    mls_formats f, g;
    char text[MLS_FORMATS_TEXT], wrong[120];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        t_note("\"%s\"", good[i].text);
        memset(&f, 1, sizeof f), memset(&g, 2, sizeof g);
        T_EQ_INT(mls_formats_parse(&f, good[i].text, wrong, sizeof wrong), MLS_OK);
        T_CHECK(wrong[0] == 0);
        T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
        if (strcmp(text, good[i].all) != 0) t_fail(__FILE__, __LINE__, "\"%s\"", text);
        T_EQ_INT(mls_formats_parse(&g, text, NULL, 0), MLS_OK);
        T_EQ_MEM(&f, &g, sizeof f);
        T_EQ_INT(mls_formats_text(f, wrong, 3), MLS_ERROR_MEMORY);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t_note("\"%s\"", bad[i].text);
        memset(&f, 1, sizeof f), g = f;
        T_EQ_INT(mls_formats_parse(&f, bad[i].text, wrong, sizeof wrong), MLS_ERROR_FORMAT);
        T_EQ_MEM(&f, &g, sizeof f);
        if (!strstr(wrong, bad[i].wrong)) t_fail(__FILE__, __LINE__, "\"%s\"", wrong);
    }
    T_EQ_INT(mls_formats_parse(NULL, "2,1", NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_formats_parse(&f, NULL, wrong, sizeof wrong), MLS_ERROR_ARGUMENT);
    f.error = full_format(7, 7, 7, 7, 7, 7, 7);
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_formats_text(f, NULL, 0), MLS_ERROR_ARGUMENT);
}

#define FORMAT_TESTS                                                                    \
    T_TEST(status_strings), T_TEST(format_check_is_exact), T_TEST(values_of_all_codes), \
        T_TEST(values_of_known_formats), T_TEST(parse_good), T_TEST(parse_bad),         \
        T_TEST(parse_from_nothing), T_TEST(format_texts), T_TEST(formats_by_role)
