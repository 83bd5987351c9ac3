package ai.djl.nestquant.codec;

/** What the baselines share: a row is a sequence of groups, each coded for itself. */
abstract class GroupQuantizer implements RowQuantizer {
    private final String name;
    private final int group;

    /**
     * Makes the base of a baseline.
     *
     * @param name for tables
     * @param group entries that share a scale; 0 for whole rows
     */
    GroupQuantizer(String name, int group) {
        if (group < 0) {
            throw new IllegalArgumentException("group size " + group + " is negative");
        }
        this.name = name;
        this.group = group;
    }

    @Override
    public final String name() {
        return name;
    }

    /** Returns the entries that share a scale in rows of the given length. */
    final int group(int columns) {
        return group == 0 ? columns : group;
    }

    @Override
    public final int quantize(float[] row, int offset, int columns, float[] decoded) {
        int size = group(columns);
        if (columns < 1 || columns % size != 0) {
            throw new IllegalArgumentException(
                    name + ": row length " + columns + " is not a multiple of the group " + size);
        }
        RowChecks.squaredNorm(row, offset, columns);
        prepareRow(row, offset, columns);
        int overloaded = 0;
        for (int at = offset; at < offset + columns; at += size) {
            overloaded += quantizeGroup(row, at, size, decoded) ? 1 : 0;
        }
        return overloaded;
    }

    /** A piece is a group, unless whole rows share a scale. */
    @Override
    public RowPieces pieces(float[] row, int offset, int columns, float factor) {
        return new RowPieces() {
            @Override
            public int width() {
                return group;
            }

            @Override
            public void quantize(float[] x, int at, float[] decoded) {
                System.arraycopy(x, at, decoded, 0, group);
                quantizeGroup(decoded, 0, group, decoded);
            }
        };
    }

    /** Says whether the row can be stored at all; most baselines store every finite row. */
    void prepareRow(float[] row, int offset, int columns) {}

    /** Decodes what a group is stored as; returns whether an entry was clipped. */
    abstract boolean quantizeGroup(float[] row, int offset, int size, float[] decoded);

    /** Returns the largest magnitude. */
    static float absmax(float[] row, int offset, int size) {
        float largest = 0;
        for (int i = 0; i < size; i++) {
            largest = Math.max(largest, Math.abs(row[offset + i]));
        }
        return largest;
    }

    @Override
    public final String toString() {
        return name;
    }
}
