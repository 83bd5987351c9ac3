/** Decoder language models as DJL blocks, and the transformer that puts their weights on codes. */
package ai.djl.nestquant.model;
