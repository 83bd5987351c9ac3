/** Tests of factorisations. */
package ai.djl.nestquant.linalg;
