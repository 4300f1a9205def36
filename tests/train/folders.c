/* Folders of pictures: a class for each folder, in the order of names; what is left out is told, with
   the reason. */

#if FILES

/* Pictures are texts "height width colour"; "bad" cannot be decoded. */
static int decodes, adds_a_file;

static int decode_text(void *user, const char *path, int32_t *h, int32_t *w, int32_t c,
                       uint8_t *pixels, char *text, size_t size)
{
    int height = 0, width = 0, colour = 0;
    FILE *f = strstr(path, "fifo") ? NULL : fopen(path, "r"); /* which would wait for a writer */
    int good = f && fscanf(f, "%d %d %d", &height, &width, &colour) == 3;
    if (f) fclose(f);
    T_CHECK(user == (void *)&decodes && c == 3);
    decodes++;
    if (!good) {
        snprintf(text, size, "no numbers");
        return 1;
    }
    if (!pixels) {
        *h = height, *w = width;
        if (adds_a_file) file_write("tree/a/new.png", "2 2 9", 5);
        return 0;
    }
    if (*h != height || *w != width) {
        snprintf(text, size, "%d x %d pixels", height, width);
        return 2;
    }
    for (int i = 0; i < height * width * 3; i++) pixels[i] = (uint8_t)(colour + i);
    return 0;
}

static const char *const tree_files[][2] = {
    {"tree/b/two.png", "2 2 20"},   {"tree/b/a.jpg", "2 2 30"},   {"tree/b/Z.jpeg", "2 2 10"},
    {"tree/a/10.png", "2 2 1"},     {"tree/a/9.png", "2 2 2"},    {"tree/c/x.JPG", "2 2 40"},
    {"tree/c/.hid.png", "9 9 9"},   {"tree/c/notes.txt", "none"}, {"tree/README.png", "a file"},
    {"tree/zz/only.txt", "no pic"}, {"tree/.hidden/x.png", "9 9"}};
static const char *const tree_folders[] = {"tree",    "tree/a",       "tree/b",    "tree/c",
                                           "tree/zz", "tree/.hidden", "tree/empty"};
enum {
    TREE_FILES = sizeof tree_files / sizeof tree_files[0],
    TREE_FOLDERS = sizeof tree_folders / sizeof tree_folders[0]
};

static void tree_make(void)
{
    folder_make();
    for (int i = 0; i < TREE_FOLDERS; i++) mkdir(path_in(tree_folders[i]), 0777);
    for (int i = 0; i < TREE_FILES; i++) {
        file_write(tree_files[i][0], tree_files[i][1], strlen(tree_files[i][1]));
    }
    decodes = adds_a_file = 0;
}

static void tree_remove(void)
{
    for (int i = 0; i < TREE_FILES; i++) remove(path_in(tree_files[i][0]));
    remove(path_in("tree/a/new.png"));
    for (int i = TREE_FOLDERS - 1; i >= 0; i--) rmdir(path_in(tree_folders[i]));
    T_EQ_INT(rmdir(folder), 0);
}

static void folder_pictures(void)
{
    static const uint8_t colours[] = {1, 2, 10, 30, 20, 40}, labels[] = {0, 0, 1, 1, 1, 2};
    mls_data data;
    char text[300];
    const char *tree;
    tree_make();
    tree = path_in("tree");
    for (int given = 0; given < 2; given++) {
        T_EQ_INT(mls_data_folder(&data, tree, 2 * given, 2 * given, decode_text, &decodes, text,
                                 sizeof text),
                 MLS_OK);
        T_CHECK(data.count == 6 && data.h == 2 && data.w == 2 && data.c == 3 && data.classes == 3);
        T_CHECK(strcmp(data.names[0], "a") == 0 && strcmp(data.names[1], "b") == 0 &&
                strcmp(data.names[2], "c") == 0);
        for (int i = 0; i < 6 && data.count == 6; i++) {
            T_EQ_INT(data.labels[i], labels[i]);
            for (int j = 0; j < 12; j++) T_EQ_INT(data.pixels[i * 12 + j], colours[i] + j);
        }
        mls_data_free(&data);
    }
    /* another size asked for: the first picture is named, and why */
    T_EQ_INT(mls_data_folder(&data, tree, 3, 2, decode_text, &decodes, text, sizeof text),
             MLS_ERROR_DATA);
    T_CHECK(strstr(text, "a/10.png") && strstr(text, "2 x 2 pixels") && data.pixels == NULL);
    file_write("tree/b/two.png", "3 3 1", 5); /* one of another size */
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, decode_text, &decodes, text, sizeof text),
             MLS_ERROR_DATA);
    T_CHECK(strstr(text, "b/two.png") && strstr(text, "3 x 3 pixels"));
    file_write("tree/b/two.png", "bad", 3);
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, decode_text, &decodes, text, sizeof text),
             MLS_ERROR_DATA);
    T_CHECK(strstr(text, "b/two.png") && strstr(text, "no numbers"));
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, decode_text, &decodes, NULL, 0), MLS_ERROR_DATA);
    file_write("tree/a/10.png", "bad", 3); /* the one that gives the size */
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, decode_text, &decodes, text, sizeof text),
             MLS_ERROR_DATA);
    T_CHECK(strstr(text, "a/10.png") != NULL);
    T_EQ_INT(mls_data_folder(&data, path_in("tree/empty"), 0, 0, decode_text, &decodes, text,
                             sizeof text),
             MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(text, "tree/empty") != NULL);
    T_EQ_INT(
        mls_data_folder(&data, path_in("none"), 0, 0, decode_text, &decodes, text, sizeof text),
        MLS_ERROR_IO);
    T_CHECK(strstr(text, "none") != NULL);
    T_EQ_INT(mls_data_folder(NULL, tree, 0, 0, decode_text, NULL, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_folder(&data, NULL, 0, 0, decode_text, NULL, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, NULL, NULL, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_folder(&data, tree, -1, 0, decode_text, NULL, NULL, 0), MLS_ERROR_ARGUMENT);
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

static void folder_of_many_classes(void)
{
    static char name[32];
    mls_data data;
    char text[300];
    folder_make();
    mkdir(path_in("many"), 0777);
    for (int i = 0; i < 257; i++) {
        snprintf(name, sizeof name, "many/%03d", i);
        mkdir(path_in(name), 0777);
        snprintf(name, sizeof name, "many/%03d/x.png", i);
        file_write(name, "1 1 1", 5);
    }
    T_EQ_INT(
        mls_data_folder(&data, path_in("many"), 0, 0, decode_text, &decodes, text, sizeof text),
        MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(text, "256 classes") != NULL);
    remove(path_in(name));
    T_EQ_INT(
        mls_data_folder(&data, path_in("many"), 0, 0, decode_text, &decodes, text, sizeof text),
        MLS_OK);
    T_CHECK(data.classes == 256 && data.count == 256 && data.labels && data.labels[255] == 255);
    mls_data_free(&data);
    for (int i = 0; i < 257; i++) {
        snprintf(name, sizeof name, "many/%03d/x.png", i);
        remove(path_in(name));
        snprintf(name, sizeof name, "many/%03d", i);
        rmdir(path_in(name));
    }
    rmdir(path_in("many"));
    T_EQ_INT(rmdir(folder), 0);
    T_EQ_INT(live_blocks, 0);
}

/* A picture that appears while the folder is read must not be written behind the end. */
static void folder_that_grows(void)
{
    mls_data data;
    char text[300];
    mls_status status;
    tree_make();
    adds_a_file = 1;
    status =
        mls_data_folder(&data, path_in("tree"), 0, 0, decode_text, &decodes, text, sizeof text);
    T_CHECK(status == MLS_OK || text[0]);
    if (status == MLS_OK) mls_data_free(&data); /* checks what is behind the blocks */
    adds_a_file = 0;
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

/* What mls_data_pictures reports: for each reason the paths, one behind the other, and a text. */
static struct {
    char paths[MLS_LEFT_OUT_REASONS][1024], text[MLS_LEFT_OUT_REASONS][200];
    int count[MLS_LEFT_OUT_REASONS];
} heard;

static void hear(void *user, mls_left_out reason, const char *path, const char *why)
{
    char *to = heard.paths[reason];
    size_t used = strlen(to);
    T_CHECK(user == (void *)&decodes && strncmp(path, folder, strlen(folder)) == 0 && why[0]);
    snprintf(to + used, sizeof heard.paths[0] - used, "%s ", path + strlen(folder) + 1);
    snprintf(heard.text[reason], sizeof heard.text[0], "%s", why);
    heard.count[reason]++;
}

static mls_folder_desc folder_desc(void)
{
    mls_folder_desc desc;
    memset(&desc, 0, sizeof desc);
    memset(&heard, 0, sizeof heard);
    desc.path = path_in("tree"), desc.decode = decode_text, desc.user = &decodes;
    desc.left_out = hear;
    return desc;
}

static void folder_letters_of_any_case(void)
{
    static const char *const names[] = {"tree/a/x.Jpg",  "tree/a/y.PnG", "tree/b/v.JPEG",
                                        "tree/b/W.jPeG", "tree/c/png",   "tree/c/x.jpg.txt",
                                        "tree/c/\016png"};
    mls_data data;
    mls_folder_desc desc;
    char text[300];
    tree_make();
    const int count = WINDOWS ? 6 : 7; /* no control characters there */
    for (int i = 0; i < count; i++) file_write(names[i], "2 2 7", 5);
    desc = folder_desc();
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
    T_CHECK(data.count == 10 && data.classes == 3);
    T_EQ_INT(heard.count[MLS_LEFT_OUT_NAME], count - 2);
    mls_data_free(&data);
    for (int i = 0; i < count; i++) remove(path_in(names[i]));
    tree_remove();
}

static void folder_tells_what_it_leaves_out(void)
{
    static const char *const paths[] = {"",
                                        "tree/c/notes.txt tree/zz/only.txt ",
                                        "tree/.hidden tree/c/.hid.png ",
                                        "tree/a/deep.png tree/a/fifo.png ",
                                        "tree/README.png ",
                                        "tree/empty tree/zz "};
    static const char *const texts[] = {
        "", ".jpg, .jpeg or .png", "hidden", "folder in a class", "beside", "no pictures"};
    mls_data data;
    mls_folder_desc desc;
    char text[300];
    tree_make();
    T_CHECK(mkdir(path_in("tree/a/deep.png"), 0777) == 0);
#if WINDOWS
    T_CHECK(mkdir(path_in("tree/a/fifo.png"), 0777) == 0);
#else
    T_CHECK(mkfifo(path_in("tree/a/fifo.png"), 0666) == 0);
#endif
    desc = folder_desc();
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
    T_EQ_INT(data.count, 6);
    for (int i = 0; i < MLS_LEFT_OUT_REASONS; i++) {
        t_note("reason %d: %s", i, heard.paths[i]);
        T_CHECK(strcmp(heard.paths[i], paths[i]) == 0);
        T_CHECK(strstr(heard.text[i], texts[i]) != NULL);
    }
    mls_data_free(&data);
    desc.left_out = NULL; /* nobody needs to listen */
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
    mls_data_free(&data);
    if (remove(path_in("tree/a/fifo.png")) != 0) rmdir(path_in("tree/a/fifo.png"));
    rmdir(path_in("tree/a/deep.png"));
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

static void folder_names_all_bad_pictures(void)
{
    static const char all_bad[] = "tree/a/10.png tree/b/a.jpg tree/b/two.png ";
    static const uint8_t colours[] = {2, 10, 40};
    mls_data data;
    mls_folder_desc desc;
    char text[300];
    tree_make();
    file_write("tree/a/10.png", "bad", 3); /* the first of all */
    file_write("tree/b/a.jpg", "bad", 3);
    file_write("tree/b/two.png", "9 9 9", 5); /* another size */
    desc = folder_desc();
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "3 of 6 pictures") && strstr(text, "tree/a/10.png: no numbers"));
    T_CHECK(strcmp(heard.paths[MLS_LEFT_OUT_BAD], all_bad) == 0 && data.pixels == NULL);
    T_CHECK(strstr(heard.text[MLS_LEFT_OUT_BAD], "9 x 9 pixels") != NULL);
    desc = folder_desc();
    desc.skip_bad = 1;
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
    T_CHECK(strcmp(heard.paths[MLS_LEFT_OUT_BAD], all_bad) == 0 && !text[0]);
    T_CHECK(data.count == 3 && data.classes == 3 && data.h == 2 && data.w == 2);
    for (int i = 0; i < 3 && data.count == 3; i++) {
        T_CHECK(data.labels[i] == i && data.pixels[i * 12] == colours[i]);
    }
    mls_data_free(&data);
    file_write("tree/c/x.JPG", "bad", 3); /* all of a class */
    desc.skip_bad = 1;
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "the class: c") && data.pixels == NULL);
    desc.h = desc.w = 3; /* and all of all */
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "the class: a") && data.pixels == NULL);
    desc.path = NULL;
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_pictures(&data, NULL, text, sizeof text), MLS_ERROR_ARGUMENT);
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

/* A name that would not fit is not cut short, as two classes could become one. */
static void folder_names_of_classes(void)
{
    static const char *const bad[] = {"control characters", "control characters", "over 63 bytes"};
    static const char *const shown[] = {"line?feed", "back?space", "xxxxx"};
    char name[3][80] = {"tree/line\nfeed", "tree/back\177space", "tree/"}, file[300], text[600];
    mls_data data;
    mls_folder_desc desc;
    tree_make();
    for (int i = WINDOWS ? 2 : 0; i < 4; i++) { /* no control characters there */
        char *to = name[i == 3 ? 2 : i];
        if (i >= 2) memset(to + 5, 'x', 66 - (size_t)i), to[71 - i] = 0; /* 64, then 63 */
        snprintf(file, sizeof file, "%s/1.png", to);
        T_CHECK(mkdir(path_in(to), 0777) == 0);
        file_write(file, "2 2 7", 5);
        desc = folder_desc();
        t_note("class %d", i);
        if (i < 3) {
            T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_ARGUMENT);
            T_CHECK(strstr(text, bad[i]) && strstr(text, shown[i]) && !strchr(text, '\n'));
        } else {
            T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
            T_CHECK(strcmp(data.names[3], to + 5) == 0 && strlen(data.names[3]) == 63);
            mls_data_free(&data);
        }
        remove(path_in(file));
        T_CHECK(rmdir(path_in(to)) == 0);
    }
    if (!WINDOWS) { /* nor does another text break */
        file_write("tree/a/line\nfeed.png", "bad", 3);
        desc = folder_desc();
        T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_DATA);
        T_CHECK(strstr(text, "line?feed.png") && !strchr(text, '\n'));
        remove(path_in("tree/a/line\nfeed.png"));
    }
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

#define FOLDERS_TESTS                                                                   \
    T_TEST(folder_pictures), T_TEST(folder_of_many_classes), T_TEST(folder_that_grows), \
        T_TEST(folder_letters_of_any_case), T_TEST(folder_tells_what_it_leaves_out),    \
        T_TEST(folder_names_all_bad_pictures), T_TEST(folder_names_of_classes),
#else
#define FOLDERS_TESTS
#endif /* FILES */
